; All ways to place queens on a board so that none attacks another. The argument is the size of the board.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 11)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define solutions '#(1 1 0 0 2 10 4 40 92 352 724 2680))

(define (safe? row distance placed)
  (or (null? placed)
      (let ((other (car placed)))
        (and (not (= other row))
             (not (= other (+ row distance)))
             (not (= other (- row distance)))
             (safe? row (+ distance 1) (cdr placed))))))

; Every solution as a list of rows, the last column first.
(define (queens board)
  (let place ((columns board))
    (if (= columns 0)
        (list '())
        (append-map
         (lambda (placed)
           (let try ((row board) (found '()))
             (cond ((= row 0) found)
                   ((safe? row 1 placed) (try (- row 1) (cons (cons row placed) found)))
                   (else (try (- row 1) found)))))
         (place (- columns 1))))))

(define all (queens size))
(check 'count (= (length all) (vector-ref solutions size)))
(check 'different (= (length (delete-duplicates (list-head all (min 40 (length all))))) (min 40 (length all))))
(for-each
 (lambda (solution)
   (let loop ((rest solution))
     (if (pair? rest)
         (begin
           (check 'safe (safe? (car rest) 1 (cdr rest)))
           (loop (cdr rest))))))
 all)
(display "nqueens: ok")
(newline)
