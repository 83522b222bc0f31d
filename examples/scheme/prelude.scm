; The procedures and macros that are written in Scheme. Whatever calls back into the program is here, so that
; continuations never have to deal with frames of C.

; ---- values, continuations, dynamic extent

(define (call-with-values producer consumer) (%spread-values consumer (producer)))

(define %winds '())

(define (%common-tail a b)
  (let ((la (length a)) (lb (length b)))
    (let loop ((a (if (> la lb) (list-tail a (- la lb)) a)) (b (if (> lb la) (list-tail b (- lb la)) b)))
      (if (eq? a b) a (loop (cdr a) (cdr b))))))

(define (%rewind target)
  (let ((common (%common-tail %winds target)))
    (let leave ()
      (if (not (eq? %winds common))
          (let ((after (cdr (car %winds))))
            (set! %winds (cdr %winds))
            (after)
            (leave))))
    (let enter ((to target))
      (if (not (eq? to common))
          (begin
            (enter (cdr to))
            ((car (car to)))
            (set! %winds to))))))

(define (dynamic-wind before thunk after)
  (before)
  (set! %winds (cons (cons before after) %winds))
  (let ((result (thunk)))
    (set! %winds (cdr %winds))
    (after)
    result))

(define %handlers '())

(define (call-with-current-continuation procedure)
  (let ((winds %winds) (handlers %handlers))
    (%call/cc
     (lambda (k)
       (procedure
        (lambda results
          (if (not (eq? %winds winds)) (%rewind winds))
          (set! %handlers handlers)
          (apply k results)))))))

(define call/cc call-with-current-continuation)
(define call-with-escape-continuation call-with-current-continuation)

(define-syntax let-values
  (syntax-rules ()
    ((_ () body ...) (let () body ...))
    ((_ ((formals expression)) body ...)
     (call-with-values (lambda () expression) (lambda formals body ...)))
    ((_ (binding ...) body ...) (%let-values (binding ...) () (body ...)))))

(define-syntax %let-values
  (syntax-rules ()
    ((_ () ((name temporary) ...) (body ...)) (let ((name temporary) ...) body ...))
    ((_ ((formals expression) more ...) done bodies)
     (%let-values-formals formals () expression (more ...) done bodies))))

(define-syntax %let-values-formals
  (syntax-rules ()
    ((_ () temporaries expression more done bodies)
     (call-with-values (lambda () expression) (lambda temporaries (%let-values more done bodies))))
    ((_ (name . rest) (temporary ...) expression more (done ...) bodies)
     (%let-values-formals rest (temporary ... t) expression more (done ... (name t)) bodies))
    ((_ name (temporary ...) expression more (done ...) bodies)
     (call-with-values (lambda () expression)
       (lambda (temporary ... . t) (%let-values more (done ... (name t)) bodies))))))

(define-syntax let*-values
  (syntax-rules ()
    ((_ () body ...) (let () body ...))
    ((_ (binding more ...) body ...) (let-values (binding) (let*-values (more ...) body ...)))))

(define-syntax receive
  (syntax-rules ()
    ((_ formals expression body ...) (call-with-values (lambda () expression) (lambda formals body ...)))))

(define-syntax define-values
  (syntax-rules ()
    ((_ () expression) (call-with-values (lambda () expression) (lambda () #f)))
    ((_ (name) expression) (define name (call-with-values (lambda () expression) (lambda (x) x))))
    ((_ (first name ... last) expression)
     (begin
       (define first (call-with-values (lambda () expression) list))
       (define name (let ((v (cadr first))) (set-cdr! first (cddr first)) v)) ...
       (define last (let ((v (cadr first))) (set! first (car first)) v))))
    ((_ (first name ... . last) expression)
     (begin
       (define first (call-with-values (lambda () expression) list))
       (define name (let ((v (cadr first))) (set-cdr! first (cddr first)) v)) ...
       (define last (let ((v (cdr first))) (set! first (car first)) v))))
    ((_ name expression) (define name (call-with-values (lambda () expression) list)))))

; ---- errors

(define (with-exception-handler handler thunk)
  (let ((outer %handlers))
    (dynamic-wind (lambda () (set! %handlers (cons handler outer)))
                  thunk
                  (lambda () (set! %handlers outer)))))

(define (%with-outer-handlers thunk)
  (let ((handlers %handlers))
    (dynamic-wind (lambda () (set! %handlers (cdr handlers)))
                  thunk
                  (lambda () (set! %handlers handlers)))))

(define (raise-continuable object)
  (if (null? %handlers)
      (%uncaught object)
      (let ((handler (car %handlers))) (%with-outer-handlers (lambda () (handler object))))))

(define (raise object)
  (if (null? %handlers) (%uncaught object))
  (let ((handler (car %handlers)))
    (%with-outer-handlers
     (lambda ()
       (handler object)
       (error "an exception handler returned, and the program cannot go on behind" object)))))

(define (error-message-string condition) (condition/report-string condition))
(define (access-condition condition what)
  (if (eq? what 'irritants) (error-object-irritants condition) (error-object-message condition)))

(define (%run-guarded handle thunk)
  ((call/cc
    (lambda (leave)
      (with-exception-handler
       (lambda (condition)
         ((call/cc (lambda (raised) (leave (lambda () (handle condition raised)))))))
       (lambda ()
         (call-with-values thunk
           (lambda results (leave (lambda () (apply values results)))))))))))

; The same where every condition is handled: nobody will want to go back to where it was raised.
(define (%run-guarded-all handle thunk)
  ((call/cc
    (lambda (leave)
      (with-exception-handler
       (lambda (condition) (leave (lambda () (handle condition))))
       (lambda ()
         (call-with-values thunk
           (lambda results (leave (lambda () (apply values results)))))))))))

(define-syntax guard
  (syntax-rules (else)
    ((_ (name clause ... (else expression ...)) body ...)
     (%run-guarded-all (lambda (name) (cond clause ... (else expression ...))) (lambda () body ...)))
    ((_ (name clause ...) body ...)
     (%run-guarded (lambda (name raised)
                     (%guard-clauses (raised (lambda () (raise-continuable name))) clause ...))
                   (lambda () body ...)))))

(define-syntax %guard-clauses
  (syntax-rules (else =>)
    ((_ again (else expression ...)) (begin expression ...))
    ((_ again (test => receiver)) (let ((t test)) (if t (receiver t) again)))
    ((_ again (test => receiver) clause ...)
     (let ((t test)) (if t (receiver t) (%guard-clauses again clause ...))))
    ((_ again (test)) (or test again))
    ((_ again (test) clause ...) (or test (%guard-clauses again clause ...)))
    ((_ again (test expression ...)) (if test (begin expression ...) again))
    ((_ again (test expression ...) clause ...)
     (if test (begin expression ...) (%guard-clauses again clause ...)))))

(define-syntax assert
  (syntax-rules ()
    ((_ expression) (if (not expression) (error "assertion failed" 'expression)))))

(define (exit . status)
  (%rewind '())
  (apply %exit status))

; ---- parameters, promises, procedures of several shapes

(define %parameter-key (list 'parameter))

(define (make-parameter initial . converter)
  (let* ((convert (if (pair? converter) (car converter) (lambda (x) x))) (content (convert initial)))
    (lambda arguments
      (cond ((null? arguments) content)
            ((eq? (car arguments) %parameter-key)
             (if (null? (cddr arguments))
                 (convert (cadr arguments))
                 (set! content (cadr arguments))))
            (else (set! content (convert (car arguments))))))))

(define (%parameterize parameters contents thunk)
  (let ((inner (map (lambda (p v) (p %parameter-key v)) parameters contents)))
    (define (swap!)
      (let ((outer (map (lambda (p) (p)) parameters)))
        (for-each (lambda (p v) (p %parameter-key v #t)) parameters inner)
        (set! inner outer)))
    (dynamic-wind swap! thunk swap!)))

(define-syntax parameterize
  (syntax-rules ()
    ((_ ((parameter content) ...) body ...)
     (%parameterize (list parameter ...) (list content ...) (lambda () body ...)))))

(define (make-promise v) (if (promise? v) v (%make-promise #t v)))
(define (%make-delayed thunk) (%make-promise #f (lambda () (make-promise (thunk)))))
(define (%make-delayed-force thunk) (%make-promise #f thunk))

(define (force promise)
  (if (not (promise? promise))
      promise
      (let loop ()
        (let ((content (%promise-content promise)))
          (if (car content)
              (cdr content)
              (let* ((next ((cdr content))) (content (%promise-content promise)))
                (if (not (car content))
                    (let ((later (%promise-content next)))
                      (set-car! content (car later))
                      (set-cdr! content (cdr later))
                      (%promise-set-content! next content)))
                (loop)))))))

(define-syntax cons-stream (syntax-rules () ((_ first rest) (cons first (delay rest)))))
(define stream-car car)
(define (stream-cdr stream) (force (cdr stream)))
(define (stream-pair? v) (and (pair? v) (promise? (cdr v))))
(define the-empty-stream '())
(define stream-null? null?)

(define-syntax case-lambda
  (syntax-rules ()
    ((_ (formals body ...) ...)
     (lambda arguments
       (let ((count (length arguments)))
         (%case-lambda arguments count (formals body ...) ...))))))

(define-syntax %case-lambda
  (syntax-rules ()
    ((_ arguments count) (error "no clause of case-lambda fits" arguments))
    ((_ arguments count (formals body ...) clause ...)
     (if (%fits? 'formals count)
         (apply (lambda formals body ...) arguments)
         (%case-lambda arguments count clause ...)))))

(define (%fits? formals count)
  (cond ((pair? formals) (and (> count 0) (%fits? (cdr formals) (- count 1))))
        ((null? formals) (= count 0))
        (else #t)))

(define-syntax fluid-let
  (syntax-rules ()
    ((_ ((name expression)) body ...)
     (let ((other expression))
       (define (swap!) (let ((t name)) (set! name other) (set! other t)))
       (dynamic-wind swap! (lambda () body ...) swap!)))
    ((_ (binding more ...) body ...)
     (fluid-let (binding) (fluid-let (more ...) body ...)))))

; ---- records

(define (%record-constructor type name numbers)
  (define (in-order? numbers i)
    (if (null? numbers) #t (and (= (car numbers) i) (in-order? (cdr numbers) (+ i 1)))))
  (let ((all? (and (in-order? numbers 0) (= (length numbers) (%record-size type)))))
    (case (and all? (length numbers))
      ((0) (lambda () (%record type)))
      ((1) (lambda (a) (%record type a)))
      ((2) (lambda (a b) (%record type a b)))
      ((3) (lambda (a b c) (%record type a b c)))
      ((4) (lambda (a b c d) (%record type a b c d)))
      ((5) (lambda (a b c d e) (%record type a b c d e)))
      (else (lambda contents (%record-of type numbers contents))))))

(define (%record-predicate type name) (lambda (v) (%record? v type)))
(define (%record-accessor type number name) (lambda (record) (%record-ref record type number name)))
(define (%record-modifier type number name) (lambda (record v) (%record-set! record type number name v)))

; ---- lists

(define (%map1 f list)
  (let loop ((list list) (done '()))
    (if (pair? list)
        (loop (cdr list) (cons (f (car list)) done))
        (reverse done))))

(define (%any-null? lists)
  (and (pair? lists) (or (not (pair? (car lists))) (%any-null? (cdr lists)))))

(define (%map-many f lists)
  (let loop ((lists lists) (done '()))
    (if (%any-null? lists)
        (reverse done)
        (loop (%map1 cdr lists) (cons (apply f (%map1 car lists)) done)))))

(define (map f list . more)
  (cond ((null? more) (%map1 f list))
        ((null? (cdr more))
         (let loop ((a list) (b (car more)) (done '()))
           (if (and (pair? a) (pair? b))
               (loop (cdr a) (cdr b) (cons (f (car a) (car b)) done))
               (reverse done))))
        (else (%map-many f (cons list more)))))

(define (for-each f list . more)
  (if (null? more)
      (let loop ((list list))
        (if (pair? list)
            (begin (f (car list)) (loop (cdr list)))))
      (let loop ((lists (cons list more)))
        (if (not (%any-null? lists))
            (begin
              (apply f (%map1 car lists))
              (loop (%map1 cdr lists)))))))

(define (append-map f . lists) (apply append (apply map f lists)))
(define (append! . lists) (apply append lists))
(define (append-reverse list tail) (append (reverse list) tail))

(define (filter-map f list)
  (let loop ((list list) (done '()))
    (if (pair? list)
        (let ((v (f (car list)))) (loop (cdr list) (if v (cons v done) done)))
        (reverse done))))

(define (vector-map f vector . more)
  (list->vector (apply map f (vector->list vector) (%map1 vector->list more))))

(define (vector-for-each f vector . more)
  (if (null? more)
      (let ((end (vector-length vector)))
        (do ((i 0 (+ i 1))) ((>= i end)) (f (vector-ref vector i))))
      (apply for-each f (vector->list vector) (%map1 vector->list more))))

(define (string-map f string . more)
  (list->string (apply map f (string->list string) (%map1 string->list more))))
(define (string-for-each f string . more)
  (apply for-each f (string->list string) (%map1 string->list more)))
(define (string-count string wanted?)
  (let loop ((i 0) (count 0))
    (if (= i (string-length string)) count (loop (+ i 1) (if (wanted? (string-ref string i)) (+ count 1) count)))))

(define (filter wanted? list)
  (let loop ((list list) (done '()))
    (if (pair? list)
        (loop (cdr list) (if (wanted? (car list)) (cons (car list) done) done))
        (reverse done))))

(define (remove unwanted? list) (filter (lambda (v) (not (unwanted? v))) list))
(define (partition wanted? list) (values (filter wanted? list) (remove wanted? list)))
(define (delete v list) (remove (lambda (other) (equal? v other)) list))
(define delete! delete)

(define (delete-duplicates list . same)
  (let ((same? (if (pair? same) (car same) equal?)))
    (let loop ((list list) (done '()))
      (cond ((null? list) (reverse done))
            ((any (lambda (v) (same? v (car list))) done) (loop (cdr list) done))
            (else (loop (cdr list) (cons (car list) done)))))))

(define (fold-left f initial list . more)
  (if (null? more)
      (let loop ((list list) (v initial))
        (if (pair? list) (loop (cdr list) (f v (car list))) v))
      (let loop ((lists (cons list more)) (v initial))
        (if (%any-null? lists) v (loop (%map1 cdr lists) (apply f v (%map1 car lists)))))))

(define (fold f initial list . more)
  (if (null? more)
      (let loop ((list list) (v initial))
        (if (pair? list) (loop (cdr list) (f (car list) v)) v))
      (let loop ((lists (cons list more)) (v initial))
        (if (%any-null? lists) v (loop (%map1 cdr lists) (apply f (append (%map1 car lists) (cons v '()))))))))

(define (fold-right f initial list . more)
  (if (null? more)
      (let loop ((list (reverse list)) (v initial))
        (if (pair? list) (loop (cdr list) (f (car list) v)) v))
      (let loop ((lists (cons list more)))
        (if (%any-null? lists)
            initial
            (apply f (append (%map1 car lists) (cons (loop (%map1 cdr lists)) '())))))))

(define (reduce f initial list) (if (null? list) initial (fold f (car list) (cdr list))))
(define reduce-left (lambda (f initial list) (if (null? list) initial (fold-left f (car list) (cdr list)))))

(define (any holds? list . more)
  (if (null? more)
      (let loop ((list list)) (and (pair? list) (or (holds? (car list)) (loop (cdr list)))))
      (let loop ((lists (cons list more)))
        (and (not (%any-null? lists)) (or (apply holds? (%map1 car lists)) (loop (%map1 cdr lists)))))))

(define (every holds? list . more)
  (if (null? more)
      (let loop ((list list) (last #t)) (if (pair? list) (let ((v (holds? (car list)))) (and v (loop (cdr list) v))) last))
      (let loop ((lists (cons list more)) (last #t))
        (if (%any-null? lists) last (let ((v (apply holds? (%map1 car lists)))) (and v (loop (%map1 cdr lists) v)))))))

(define (find wanted? list)
  (let loop ((list list)) (and (pair? list) (if (wanted? (car list)) (car list) (loop (cdr list))))))
(define (find-tail wanted? list)
  (let loop ((list list)) (and (pair? list) (if (wanted? (car list)) list (loop (cdr list))))))
(define (list-index wanted? list)
  (let loop ((list list) (i 0)) (and (pair? list) (if (wanted? (car list)) i (loop (cdr list) (+ i 1))))))
(define (count wanted? list)
  (let loop ((list list) (n 0)) (if (pair? list) (loop (cdr list) (if (wanted? (car list)) (+ n 1) n)) n)))

(define (list-set! list k v) (set-car! (list-tail list k) v))
(define (first list) (car list))
(define (second list) (cadr list))
(define (third list) (caddr list))
(define (fourth list) (cadddr list))
(define (last list) (car (last-pair list)))
(define (take list k) (list-head list k))
(define (drop list k) (list-tail list k))
(define (sublist list start end) (list-head (list-tail list start) (- end start)))

(define (iota count . more)
  (let ((start (if (pair? more) (car more) 0)) (step (if (and (pair? more) (pair? (cdr more))) (cadr more) 1)))
    (let loop ((i (- count 1)) (done '()))
      (if (< i 0) done (loop (- i 1) (cons (+ start (* i step)) done))))))

(define (list-tabulate count f) (%map1 f (iota count)))
(define make-initialized-list list-tabulate)
(define (make-initialized-vector count f) (list->vector (list-tabulate count f)))
(define vector-tabulate (lambda (f count) (make-initialized-vector count f)))

(define %member member)
(define (member v list . same)
  (if (null? same) (%member v list) (find-tail (lambda (other) ((car same) v other)) list)))
(define %assoc assoc)
(define (assoc v list . same)
  (if (null? same) (%assoc v list) (find (lambda (entry) ((car same) v (car entry))) list)))
(define (del-assq key list) (remove (lambda (entry) (eq? (car entry) key)) list))
(define (del-assv key list) (remove (lambda (entry) (eqv? (car entry) key)) list))
(define (del-assoc key list) (remove (lambda (entry) (equal? (car entry) key)) list))

(define (%merge a b less?)
  (let loop ((a a) (b b) (done '()))
    (cond ((null? a) (%reverse-onto done b))
          ((null? b) (%reverse-onto done a))
          ((less? (car b) (car a)) (loop a (cdr b) (cons (car b) done)))
          (else (loop (cdr a) b (cons (car a) done))))))

(define (%reverse-onto list tail)
  (if (null? list) tail (%reverse-onto (cdr list) (cons (car list) tail))))

(define (%sort-list list less?)
  (let sort ((list list) (n (length list)))
    (if (< n 2)
        (list-head list n)
        (let ((half (quotient n 2)))
          (%merge (sort list half) (sort (list-tail list half) (- n half)) less?)))))

(define (sort sequence less?)
  (cond ((procedure? sequence) (sort less? sequence))
        ((vector? sequence) (list->vector (%sort-list (vector->list sequence) less?)))
        (else (%sort-list sequence less?))))
(define list-sort sort)
(define merge-sort sort)
(define (sort! vector less?)
  (if (vector? vector)
      (begin (vector-copy! vector 0 (sort vector less?)) vector)
      (sort vector less?)))

(define (vector-grow vector length)
  (let ((longer (make-vector length)))
    (vector-copy! longer 0 vector)
    longer))
(define (vector-binary-search vector key compare)
  (let loop ((low 0) (high (- (vector-length vector) 1)))
    (and (<= low high)
         (let* ((middle (quotient (+ low high) 2)) (order (compare key (vector-ref vector middle))))
           (cond ((= order 0) (vector-ref vector middle))
                 ((< order 0) (loop low (- middle 1)))
                 (else (loop (+ middle 1) high)))))))

; ---- numbers, strings

(define (square x) (* x x))
(define (cube x) (* x x x))
(define (boolean=? a b . more) (and (eq? a b) (or (null? more) (apply boolean=? b more))))
(define (symbol=? a b . more) (and (eq? a b) (or (null? more) (apply symbol=? b more))))
(define (symbol<? a b) (string<? (symbol->string a) (symbol->string b)))
(define (symbol-append . symbols) (string->symbol (apply string-append (%map1 symbol->string symbols))))
(define (exact-integer-sqrt n)
  (let loop ((root (exact (floor (sqrt n)))))
    (cond ((> (* root root) n) (loop (- root 1)))
          ((<= (* (+ root 1) (+ root 1)) n) (loop (+ root 1)))
          (else (values root (- n (* root root)))))))
(define (floor/ a b) (values (floor-quotient a b) (floor-remainder a b)))
(define (truncate/ a b) (values (quotient a b) (remainder a b)))
(define (exact-rational? x) (exact-integer? x))
(define (exact-nonnegative-integer? x) (and (exact-integer? x) (>= x 0)))

(define (string-null? s) (= (string-length s) 0))
(define (string-head s end) (substring s 0 end))
(define (string-tail s start) (substring s start (string-length s)))
(define (string-reverse s) (list->string (reverse (string->list s))))
(define (string-search-forward pattern s start) (string-search pattern s start))
(define (string-contains s pattern) (string-search pattern s))
(define (string-prefix? prefix s)
  (and (<= (string-length prefix) (string-length s)) (string=? prefix (string-head s (string-length prefix)))))
(define (string-suffix? suffix s)
  (let ((rest (- (string-length s) (string-length suffix))))
    (and (>= rest 0) (string=? suffix (string-tail s rest)))))
(define (string-join strings . delimiter)
  (let ((delimiter (if (pair? delimiter) (car delimiter) " ")))
    (if (null? strings)
        ""
        (apply string-append
               (car strings)
               (append-map (lambda (s) (list delimiter s)) (cdr strings))))))
(define (string-split s delimiter)
  (let loop ((i 0) (start 0) (parts '()))
    (cond ((= i (string-length s)) (reverse (cons (substring s start i) parts)))
          ((char=? (string-ref s i) delimiter) (loop (+ i 1) (+ i 1) (cons (substring s start i) parts)))
          (else (loop (+ i 1) start parts)))))
(define (string-pad-left s n . char)
  (let ((length (string-length s)))
    (if (>= length n)
        (string-tail s (- length n))
        (string-append (make-string (- n length) (if (pair? char) (car char) #\space)) s))))
(define (string-pad-right s n . char)
  (let ((length (string-length s)))
    (if (>= length n)
        (string-head s n)
        (string-append s (make-string (- n length) (if (pair? char) (car char) #\space))))))
(define (vector->string v . part) (list->string (apply vector->list v part)))
(define (string->vector s . part) (list->vector (apply string->list s part)))
(define (char-ascii? c) (< (char->integer c) 128))

; ---- hash tables (SRFI 69)

(define (make-hash-table . arguments)
  (%make-table
   (cond ((or (null? arguments) (not (procedure? (car arguments)))) 2)
         ((eq? (car arguments) eq?) 0)
         ((memq (car arguments) (list eqv? =)) 1)
         ((eq? (car arguments) equal?) 2)
         ((eq? (car arguments) string=?) 3)
         (else (error "make-hash-table: unknown equivalence" (car arguments))))))
(define (make-equal-hash-table . size) (%make-table 2))
(define (make-string-hash-table . size) (%make-table 3))
(define (make-eqv-hash-table . size) (%make-table 1))
(define (make-eq-hash-table . size) (%make-table 0))
(define make-strong-eqv-hash-table make-eqv-hash-table)
(define make-strong-eq-hash-table make-eq-hash-table)

(define %nothing (list 'nothing))
(define (hash-table-ref table key . more)
  (let ((v (hash-table-ref/default table key %nothing)))
    (cond ((not (eq? v %nothing))
           (if (and (pair? more) (pair? (cdr more))) ((cadr more) v) v))
          ((and (pair? more) (car more)) ((car more)))
          (else (error "hash-table-ref: no such key" key)))))
(define hash-table/get hash-table-ref/default)
(define hash-table/put! hash-table-set!)
(define (hash-table-update! table key f . fail)
  (hash-table-set! table key (f (apply hash-table-ref table key fail))))
(define (hash-table-update!/default table key f default)
  (hash-table-set! table key (f (hash-table-ref/default table key default))))
(define (hash-table-walk table f)
  (for-each (lambda (entry) (f (car entry) (cdr entry))) (hash-table->alist table)))
(define (hash-table-fold table f initial)
  (fold (lambda (entry v) (f (car entry) (cdr entry) v)) initial (hash-table->alist table)))
(define (hash-table-empty? table) (= (hash-table-count table) 0))
(define (alist->hash-table alist . equivalence)
  (let ((table (apply make-hash-table equivalence)))
    (for-each (lambda (entry)
                (if (not (hash-table-exists? table (car entry)))
                    (hash-table-set! table (car entry) (cdr entry))))
              alist)
    table))
(define (hash-table-merge! to from)
  (hash-table-walk from (lambda (key v) (if (not (hash-table-exists? to key)) (hash-table-set! to key v))))
  to)
(define hash-table-union! hash-table-merge!)

; ---- input and output

(define (call-with-output-string f)
  (let ((port (open-output-string)))
    (f port)
    (get-output-string port)))
(define (with-output-to-string . thunk)
  (let ((port (open-output-string)) (outer (current-output-port)))
    (dynamic-wind (lambda () (%set-current-output! port))
                  (if (pair? thunk) (car thunk) (lambda () #t))
                  (lambda () (%set-current-output! outer)))
    (get-output-string port)))
(define (with-input-from-string string thunk)
  (let ((port (open-input-string string)) (outer (current-input-port)))
    (dynamic-wind (lambda () (%set-current-input! port)) thunk (lambda () (%set-current-input! outer)))))
(define (call-with-port port f)
  (let ((result (f port)))
    (close-port port)
    result))
(define (call-with-input-file name f) (call-with-port (open-input-file name) f))
(define (call-with-output-file name f) (call-with-port (open-output-file name) f))
(define (call-with-input-string string f) (f (open-input-string string)))
(define (with-output-to-file name thunk)
  (let ((port (open-output-file name)) (outer (current-output-port)))
    (dynamic-wind (lambda () (%set-current-output! port))
                  thunk
                  (lambda () (%set-current-output! outer) (close-port port)))))

(define (write-line v . port)
  (apply write v port)
  (apply newline port))
(define (pp v . port) (apply write-line v port))

; Files that are not where a program was started are looked for beside the file that loads them.
(define %directory "")
(define (%directory-of name)
  (let loop ((i (string-length name)))
    (cond ((= i 0) "")
          ((char=? (string-ref name (- i 1)) #\/) (substring name 0 i))
          (else (loop (- i 1))))))
(define (load name . environment)
  (let* ((beside (string-append %directory name))
         (file (if (or (file-exists? name) (not (file-exists? beside))) name beside))
         (port (open-input-file file))
         (inner (%directory-of file))
         (outer %directory))
    (dynamic-wind
     (lambda () (set! %directory inner))
     (lambda ()
       (let loop ((last #t))
         (let ((form (read port)))
           (if (eof-object? form)
               last
               (loop (eval form))))))
     (lambda () (set! %directory outer)))))

(define (interaction-environment) 'global)
(define system-global-environment 'global)
(define user-initial-environment 'global)
(define (runtime) (/ (current-milliseconds) 1000.))
(define real-time current-milliseconds)

; What the interpreter itself calls.
(define (%evaluate-text text name)
  (let ((port (%open-named-string text name)))
    (let loop ((last (void)))
      (let ((form (read port)))
        (if (eof-object? form)
            last
            (loop (eval form)))))))
