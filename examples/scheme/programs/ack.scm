; Ackermann's function: recursion that is deep. The argument is the second one of (ack 2 n).
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 4000)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define (ack m n)
  (cond ((= m 0) (+ n 1))
        ((= n 0) (ack (- m 1) 1))
        (else (ack (- m 1) (ack m (- n 1))))))

(check 'ack-2 (= (ack 2 size) (+ (* 2 size) 3)))
(check 'ack-3 (= (ack 3 7) 1021))
(display "ack: ok")
(newline)
