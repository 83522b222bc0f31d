; Where errors are said to be. The numbers are lines of this file.
(load "check.scm")

(define (first-of v)
  (car v))

(define (second-of v)
  (let ((rest
         (cdr v)))
    (first-of rest)))

(check-error (first-of 5) "errors.scm:5: car: expected a pair: 5")
(check-error (second-of '(1)) "errors.scm:5: car: expected a pair: ()")
(check-error (second-of 1) "errors.scm:9: cdr: expected a pair: 1")

(define (explicit x)
  (if (negative? x)
      (begin
        (error "negative:" x))
      x))
(check-error (+ 1 (explicit -1)) "negative:: -1")
(check-error (not (explicit -1)) "errors.scm:")

(define (calls-unknown)
  (+ 1
     (no-such-procedure 2)))
(check-error (calls-unknown) "errors.scm:26: this variable has no value: no-such-procedure")

(define (wrong-count)
  (list
   (first-of 1 2)))
(check-error (wrong-count) "errors.scm:31: wrong number of arguments (2)")

(define (no-procedure)
  (list ("text" 1)))
(check-error (no-procedure) "errors.scm:35: not a procedure: \"text\"")

(define (in-macro x)
  (when x
    (vector-ref
     (vector) 0)))
(check-error (in-macro #t) "errors.scm:40: vector-ref")

(check-error (eval '(if)) "bad syntax: (if)")
(check-error (eval '(let ((x)) x)) "bad bindings")
(check-error (eval '(lambda (a a) a)) "a parameter appears twice")
(check-error (eval '(let () (define a 1) (define a 2) a)) "defined twice")
(check-error (eval '(set! never-defined 1)) "not defined")
(check-error (eval '(+ if 1)) "a keyword is no variable")
(check-error (eval '()) "an empty list is no expression")
(check-error (eval '(let ((x 1) (x 2)) x)) "a variable appears twice")
(check-error (eval '(cond 5)) "bad clause of cond")
(define (nest n v) (if (= n 0) v (nest (- n 1) (list 'not v))))
(check (eval (nest 1000 #t)) => #t)
(check-error (eval (nest 6000 #t)) "nested too deeply")
(check-error (eval (list 'quote (nest 5 (let loop ((n 25000) (v '())) (if (= n 0) v (loop (- n 1) (list v))))))) "nested too deeply")
(check-error (equal? (let loop ((n 25000) (v '())) (if (= n 0) v (loop (- n 1) (list v))))
                     (let loop ((n 25000) (v '())) (if (= n 0) v (loop (- n 1) (list v)))))
             "nested too deeply")
(check-error (raise-continuable (make-condition "made" 1)) "made: 1")
(check-error (assert (= 1 2)) "assertion failed: (= 1 2)")
(check-error (hash-table-ref (make-equal-hash-table) 'k) "no such key: k")
(check (guard (e ((string? e) e)) (raise "not a condition")) => "not a condition")
(done "errors")
