; A database of units with properties that is searched for patterns with variables. The argument is the number of rounds.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 120)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define properties (make-hash-table eq?))
(define (put! unit key v)
  (hash-table-update!/default properties unit (lambda (list) (cons (cons key v) list)) '()))
(define (get unit key)
  (let ((entry (assq key (hash-table-ref/default properties unit '()))))
    (and entry (cdr entry))))

(define seed 21)
(define (next-random!)
  (set! seed (modulo (+ (* seed 171) 11213) 53125))
  seed)

(define shapes
  '((a a a b b b b a a a a a b b a a a) (a a b b b b a a (a a) (b b)) (a a a b (b a) b a b a)))

(define units
  (list-tabulate 120
    (lambda (i)
      (let ((unit (string->symbol (string-append "unit-" (number->string i)))))
        (put! unit 'pattern (list-ref shapes (modulo (next-random!) 3)))
        (put! unit 'number i)
        unit))))

(define (variable? v) (and (symbol? v) (char=? (string-ref (symbol->string v) 0) #\?)))
(define (segment? v) (and (symbol? v) (char=? (string-ref (symbol->string v) 0) #\*)))

; Does the datum fit the pattern? ?x stands for one thing, *x for any number of them, the same ones each time.
(define (fits? pattern datum bound)
  (cond ((null? pattern) (null? datum))
        ((not (pair? pattern)) (eq? pattern datum))
        ((segment? (car pattern))
         (let ((known (assq (car pattern) bound)))
           (let try ((taken '()) (rest datum))
             (or (if known
                     (and (equal? (reverse taken) (cdr known)) (fits? (cdr pattern) rest bound))
                     (fits? (cdr pattern) rest (cons (cons (car pattern) (reverse taken)) bound)))
                 (and (pair? rest) (try (cons (car rest) taken) (cdr rest)))))))
        ((not (pair? datum)) #f)
        ((variable? (car pattern))
         (let ((known (assq (car pattern) bound)))
           (if known
               (and (equal? (cdr known) (car datum)) (fits? (cdr pattern) (cdr datum) bound))
               (fits? (cdr pattern) (cdr datum) (cons (cons (car pattern) (car datum)) bound)))))
        ((pair? (car pattern))
         (and (pair? (car datum)) (fits? (car pattern) (car datum) bound)
              (fits? (cdr pattern) (cdr datum) bound)))
        (else (and (eq? (car pattern) (car datum)) (fits? (cdr pattern) (cdr datum) bound)))))

(define (search pattern)
  (count (lambda (unit) (fits? pattern (get unit 'pattern) '())) units))
(define (having shape)
  (count (lambda (unit) (eq? (get unit 'pattern) (list-ref shapes shape))) units))

(do ((i 0 (+ i 1))) ((= i size))
  (check 'whole (= (search '(*x)) 120))
  (check 'first (= (search '(a a a b b b b *x b b a a a)) (having 0)))
  (check 'second (= (search '(*a ?b *b ?b a a (*c) (*d))) (having 1)))
  (check 'third (= (search '(?a ?a ?a b (?b ?a) *rest)) (having 2))))
(display "browse: ok")
(newline)
