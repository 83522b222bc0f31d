; Makes a maze by joining cells at random, and finds the way through it, all with lists. The argument is its size.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 200)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define state 4711)
(define (random-below! n)
  (set! state (modulo (+ (* state 1103515245) 12345) 2147483648))
  (modulo (quotient state 65536) n))

(define (cell row column) (+ (* row size) column))
(define cells (* size size))

; All walls between neighbours, in random order.
(define walls
  (map cdr
       (sort (append-map
              (lambda (row)
                (append-map
                 (lambda (column)
                   (append (if (< column (- size 1))
                               (list (list (random-below! 1000000) (cell row column) (cell row (+ column 1))))
                               '())
                           (if (< row (- size 1))
                               (list (list (random-below! 1000000) (cell row column) (cell (+ row 1) column)))
                               '())))
                 (iota size)))
              (iota size))
             (lambda (a b) (< (car a) (car b))))))

; Sets of cells that are connected, as trees that point to their root.
(define parents (list->vector (iota cells)))
(define (root c)
  (let ((parent (vector-ref parents c)))
    (if (= parent c)
        c
        (let ((r (root parent)))
          (vector-set! parents c r)
          r))))

(define doors
  (filter (lambda (wall)
            (let ((a (root (car wall))) (b (root (cadr wall))))
              (and (not (= a b))
                   (begin (vector-set! parents a b) #t))))
          walls))

(define neighbours (make-vector cells '()))
(for-each
 (lambda (door)
   (let ((a (car door)) (b (cadr door)))
     (vector-set! neighbours a (cons b (vector-ref neighbours a)))
     (vector-set! neighbours b (cons a (vector-ref neighbours b)))))
 doors)

; The only way from one cell to another: each step keeps the way so far.
(define (way from to)
  (let breadth ((ways (list (list from))) (later '()))
    (cond ((and (null? ways) (null? later)) #f)
          ((null? ways) (breadth later '()))
          ((= (caar ways) to) (reverse (car ways)))
          (else
           (let* ((here (car ways)) (behind (if (pair? (cdr here)) (cadr here) -1)))
             (breadth (cdr ways)
                      (fold (lambda (next later) (if (= next behind) later (cons (cons next here) later)))
                            later
                            (vector-ref neighbours (car here)))))))))

(check 'doors (= (length doors) (- cells 1)))
(do ((i 0 (+ i 1))) ((= i 10))
  (let* ((from (random-below! cells)) (to (random-below! cells)) (found (way from to)))
    (check 'ends (and (= (car found) from) (= (last found) to)))
    (let loop ((rest found))
      (if (pair? (cdr rest))
          (begin
            (check 'step (memv (cadr rest) (vector-ref neighbours (car rest))))
            (loop (cdr rest)))))
    (check 'there-and-back (equal? (reverse found) (way to from)))))
(display "mazefun: ok")
(newline)
