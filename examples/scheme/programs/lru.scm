; A cache that forgets what was used least recently, with a hash table and a list in both directions. The argument is the number of accesses.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 800000)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

; An entry is a vector: key, contents, the one used before it, the one used after it.
(define (entry-key e) (vector-ref e 0))
(define (entry-contents e) (vector-ref e 1))
(define (older e) (vector-ref e 2))
(define (newer e) (vector-ref e 3))
(define (join! a b) (vector-set! a 3 b) (vector-set! b 2 a))

(define capacity (max 16 (quotient size 40)))
(define table (make-equal-hash-table))
(define ends (vector #f #f #f #f)) ; newer of it is the oldest, older of it the newest
(join! ends ends)

(define (unlink! e) (join! (older e) (newer e)))
(define (push! e)
  (join! (older ends) e)
  (join! e ends))

(define state 12345)
(define (random-below! n)
  (set! state (modulo (+ (* state 1103515245) 12345) 2147483648))
  (modulo (quotient state 65536) n))

; Keys are of three kinds; the contents of a key can be told from it at any time.
(define (key-of n)
  (case (modulo n 3)
    ((0) n)
    ((1) (string-append "key-" (number->string n)))
    (else (cons 'key n))))
(define (contents-of n)
  (let ((v (make-vector (+ 1 (modulo n 13)) n)))
    (vector-set! v 0 (number->string n))
    v))
(define (right? n contents)
  (and (= (vector-length contents) (+ 1 (modulo n 13)))
       (string=? (vector-ref contents 0) (number->string n))
       (or (= (vector-length contents) 1)
           (= n (vector-ref contents (- (vector-length contents) 1))))))

(define hits 0)
(define misses 0)
(define (access! n)
  (let* ((key (key-of n)) (found (hash-table-ref/default table key #f)))
    (if found
        (begin
          (set! hits (+ hits 1))
          (check 'contents (right? n (entry-contents found)))
          (unlink! found)
          (push! found))
        (let ((e (vector key (contents-of n) #f #f)))
          (set! misses (+ misses 1))
          (if (= (hash-table-count table) capacity)
              (let ((victim (newer ends)))
                (unlink! victim)
                (check 'victim (hash-table-delete! table (entry-key victim)))))
          (hash-table-set! table key e)
          (push! e)))))

(do ((i 0 (+ i 1))) ((= i size))
  (access! (if (< (random-below! 4) 3)
               (random-below! (quotient (* capacity 3) 4))
               (random-below! (* capacity 4)))))

(let loop ((e (newer ends)) (seen 0))
  (if (eq? e ends)
      (check 'all (= seen (hash-table-count table)))
      (begin
        (check 'in-table (eq? e (hash-table-ref table (entry-key e))))
        (check 'links (eq? (newer (older e)) e))
        (loop (newer e) (+ seen 1)))))
(check 'accesses (= size (+ hits misses)))
(check 'some-hits (> hits (quotient size 4)))
(display "lru: ok")
(newline)
