; Earley's parser on an ambiguous grammar; counts the trees. The argument is the number of runs.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 200)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

; The grammar: S -> S S | a. Its sentences of n letters have Catalan (n - 1) trees.
(define grammar '((s (s s) (a))))

; An item: (left right-before-dot right-after-dot origin)
(define (item left done rest origin) (list left done rest origin))
(define item-left car)
(define item-rest caddr)
(define item-origin cadddr)
(define (advance i) (item (item-left i) (cons (car (item-rest i)) (cadr i)) (cdr (item-rest i)) (item-origin i)))

(define (parse-chart input)
  (let* ((n (vector-length input)) (sets (make-vector (+ n 1) '())) (seen (make-vector (+ n 1) #f)))
    (define (add! k i)
      (if (not (hash-table-exists? (vector-ref seen k) i))
          (begin
            (hash-table-set! (vector-ref seen k) i #t)
            (vector-set! sets k (cons i (vector-ref sets k)))
            (process! k i))))
    (define (process! k i)
      (cond ((null? (item-rest i))
             (for-each (lambda (waiting)
                         (if (and (pair? (item-rest waiting)) (eq? (car (item-rest waiting)) (item-left i)))
                             (add! k (advance waiting))))
                       (vector-ref sets (item-origin i))))
            ((assq (car (item-rest i) ) grammar)
             => (lambda (rule)
                  (for-each (lambda (right) (add! k (item (car rule) '() right k))) (cdr rule))))
            ((and (< k n) (eq? (vector-ref input k) (car (item-rest i))))
             (vector-set! pending (+ k 1) (cons (advance i) (vector-ref pending (+ k 1)))))))
    (define pending (make-vector (+ n 2) '()))
    (do ((k 0 (+ k 1))) ((> k n)) (vector-set! seen k (make-equal-hash-table)))
    (vector-set! pending 0 (list (item 'start '() '(s) 0)))
    (do ((k 0 (+ k 1))) ((> k n) sets)
      (for-each (lambda (i) (add! k i)) (vector-ref pending k)))))

(define (recognized? sets)
  (any (lambda (i) (and (eq? (item-left i) 'start) (null? (item-rest i)))) (vector-ref sets (- (vector-length sets) 1))))

; Trees of s from `from` to `to`, counted by what the chart has found complete.
(define (count-trees sets)
  (let ((known (make-equal-hash-table)))
    (define (complete? from to)
      (any (lambda (i) (and (eq? (item-left i) 's) (null? (item-rest i)) (= (item-origin i) from)))
           (vector-ref sets to)))
    (define (trees from to)
      (let* ((key (cons from to)) (found (hash-table-ref/default known key #f)))
        (or found
            (let ((n (cond ((not (complete? from to)) 0)
                           ((= (+ from 1) to) 1)
                           (else
                            (let loop ((middle (+ from 1)) (sum 0))
                              (if (= middle to)
                                  sum
                                  (loop (+ middle 1) (+ sum (* (trees from middle) (trees middle to))))))))))
              (hash-table-set! known key n)
              n))))
    (trees 0 (- (vector-length sets) 1))))

(define (catalan n)
  (do ((i 0 (+ i 1)) (c 1 (quotient (* c 2 (+ (* 2 i) 1)) (+ i 2)))) ((= i n) c)))

(do ((i 0 (+ i 1))) ((= i size))
  (let* ((n (+ 20 (modulo i 10))) (sets (parse-chart (make-vector n 'a))))
    (check 'recognized (recognized? sets))
    (check 'trees (= (count-trees sets) (catalan (- n 1))))))
(check 'refused (not (recognized? (parse-chart (vector 'a 'b 'a)))))
(display "earley: ok")
(newline)
