; Symbolic derivatives: short-lived lists. The argument is the number of rounds.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 300000)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define (derive e)
  (cond ((number? e) 0)
        ((symbol? e) (if (eq? e 'x) 1 0))
        (else
         (case (car e)
           ((+) (cons '+ (map derive (cdr e))))
           ((-) (cons '- (map derive (cdr e))))
           ((*)
            (list '* e (cons '+ (map (lambda (factor) (list '/ (derive factor) factor)) (cdr e)))))
           ((/)
            (let ((above (cadr e)) (below (caddr e)))
              (list '- (list '/ (derive above) below)
                    (list '/ above (list '* below below (derive below))))))
           (else (error "no derivative of" e))))))

; The value of an expression where x is `x`.
(define (evaluate e x)
  (cond ((number? e) e)
        ((symbol? e) x)
        (else
         (apply (case (car e) ((+) +) ((-) -) ((*) *) ((/) /) (else (error "unknown" e)))
                (map (lambda (part) (evaluate part x)) (cdr e))))))

(define polynomial '(+ (* 3 x x) (* 7 x x) (* 11 x) 5))

(do ((i 0 (+ i 1)) (last #f (derive polynomial)))
    ((= i size)
     (check 'derivative (< (abs (- (evaluate last 2.) 51.)) 1e-9))))
(check 'form
       (equal? (derive '(+ (* 2 x) 5)) '(+ (* (* 2 x) (+ (/ 0 2) (/ 1 x))) 0)))
(display "deriv: ok")
(newline)
