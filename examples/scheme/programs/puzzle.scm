; Fills a board with pieces, backtracking over vectors. The argument is the number of rows of six, 5 or 10.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 10)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

; The board is a vector of cells; the pieces are the twelve pentominoes, each of which may be used once.
(define rows size)
(define columns 6)

(define pieces
  '(((0 0) (0 1) (0 2) (0 3) (0 4)) ((0 0) (0 1) (0 2) (0 3) (1 0)) ((0 0) (0 1) (0 2) (0 3) (1 1))
    ((0 0) (0 1) (0 2) (1 2) (1 3)) ((0 0) (0 1) (0 2) (1 0) (1 1)) ((0 0) (0 1) (0 2) (1 0) (1 2))
    ((0 0) (0 1) (0 2) (1 1) (2 1)) ((0 0) (0 1) (0 2) (1 0) (2 0)) ((0 0) (0 1) (1 1) (1 2) (2 2))
    ((0 1) (1 0) (1 1) (1 2) (2 1)) ((0 0) (0 1) (1 1) (2 1) (2 2)) ((0 1) (0 2) (1 0) (1 1) (2 1))))

(define (turn cells) (map (lambda (cell) (list (cadr cell) (- (car cell)))) cells))
(define (flip cells) (map (lambda (cell) (list (car cell) (- (cadr cell)))) cells))

(define (before? a b) (or (< (car a) (car b)) (and (= (car a) (car b)) (< (cadr a) (cadr b)))))

; Sorted, and with the first cell at the origin: distances from the first free cell of the board.
(define (normalize cells)
  (let* ((sorted (sort cells before?)) (row (caar sorted)) (column (cadar sorted)))
    (map (lambda (cell) (list (- (car cell) row) (- (cadr cell) column))) sorted)))

(define (orientations cells)
  (let loop ((n 0) (cells cells) (found '()))
    (if (= n 8)
        (delete-duplicates found)
        (loop (+ n 1)
              (if (= n 3) (flip (turn cells)) (turn cells))
              (cons (normalize cells) found)))))

(define shapes (list->vector (map orientations pieces)))
(define board (make-vector (* rows columns) #f))
(define used (make-vector 12 #f))
(define steps 0)

(define (free? cells row column)
  (every (lambda (cell)
           (let ((r (+ row (car cell))) (c (+ column (cadr cell))))
             (and (< r rows) (<= 0 c) (< c columns) (not (vector-ref board (+ (* r columns) c))))))
         cells))

(define (mark! cells row column v)
  (for-each (lambda (cell) (vector-set! board (+ (* (+ row (car cell)) columns) column (cadr cell)) v)) cells))

(define (solve at left)
  (set! steps (+ steps 1))
  (cond ((= left 0) #t)
        ((vector-ref board at) (solve (+ at 1) left))
        (else
         (let ((row (quotient at columns)) (column (remainder at columns)))
           (let next-piece ((piece 0))
             (cond ((= piece 12) #f)
                   ((vector-ref used piece) (next-piece (+ piece 1)))
                   (else
                    (vector-set! used piece #t)
                    (or (any (lambda (cells)
                               (and (free? cells row column)
                                    (begin
                                      (mark! cells row column piece)
                                      (or (solve at (- left 1))
                                          (begin (mark! cells row column #f) #f)))))
                             (vector-ref shapes piece))
                        (begin
                          (vector-set! used piece #f)
                          (next-piece (+ piece 1)))))))))))

(check 'orientations (= 63 (apply + (map length (vector->list shapes)))))
(check 'solved (solve 0 (quotient (* rows columns) 5)))
(check 'full (every number? (vector->list board)))
(do ((piece 0 (+ piece 1))) ((= piece 12))
  (check 'five-cells
         (= (if (vector-ref used piece) 5 0)
            (count (lambda (cell) (eqv? cell piece)) (vector->list board)))))
(display "puzzle: ok")
(newline)
