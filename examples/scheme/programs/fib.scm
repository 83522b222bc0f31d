; Fibonacci numbers by double recursion: calls and small integers. The argument is the number.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 34)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define (fib n)
  (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))

(define (fib-by-steps n)
  (do ((i 0 (+ i 1)) (a 0 b) (b 1 (+ a b))) ((= i n) a)))

(check 'fib (= (fib size) (fib-by-steps size)))
(display "fib: ok")
(newline)
