; Takeuchi's function on numbers and on lists that count by their length. The argument is the number of runs.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 200)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define (tak x y z)
  (if (not (< y x))
      z
      (tak (tak (- x 1) y z) (tak (- y 1) z x) (tak (- z 1) x y))))

(define (count-down n) (if (= n 0) '() (cons n (count-down (- n 1)))))

(define (shorter? a b)
  (and (pair? b) (or (null? a) (shorter? (cdr a) (cdr b)))))

(define (takl x y z)
  (if (not (shorter? y x))
      z
      (takl (takl (cdr x) y z) (takl (cdr y) z x) (takl (cdr z) x y))))

(do ((i 0 (+ i 1))) ((= i size))
  (check 'tak (= (tak 18 12 6) 7))
  (check 'takl (= (length (takl (count-down 13) (count-down 8) (count-down 4))) (tak 13 8 4))))
(display "tak: ok")
(newline)
