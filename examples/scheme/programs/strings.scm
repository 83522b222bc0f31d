; Strings that come and go: joined, split, searched, sorted, used as keys. The argument is the number of rounds.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 600)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define syllables '#("ba" "ke" "lo" "mi" "nu" "ra" "se" "ti" "vo" "zu"))

; A word for each number, different for different ones.
(define (word n)
  (let loop ((n n) (parts '()))
    (if (< n 10)
        (apply string-append (vector-ref syllables n) parts)
        (loop (quotient n 10) (cons (vector-ref syllables (remainder n 10)) parts)))))

(define words (map word (iota 300 100)))

(define (round! n)
  (let* ((text (string-join words)) (parts (string-split text #\space)))
    (check 'split (equal? parts words))
    (check 'search (string-search (word 250) text))
    (check 'upcase (string=? (string-downcase (string-upcase text)) text))
    (check 'reverse (string=? (string-reverse (string-reverse text)) text)))
  (let ((counts (make-string-hash-table)))
    (for-each (lambda (w) (hash-table-update!/default counts (substring w 0 2) (lambda (k) (+ k 1)) 0)) words)
    (check 'counts (= 300 (apply + (hash-table-values counts)))))
  (let ((port (open-output-string)))
    (for-each (lambda (w) (write w port)) words)
    (let ((in (open-input-string (get-output-string port))))
      (let loop ((rest words))
        (if (pair? rest)
            (begin
              (check 'read (string=? (read in) (car rest)))
              (loop (cdr rest)))
            (check 'end (eof-object? (read in)))))))
  (let ((s (make-string 64 #\.)))
    (do ((i 0 (+ i 1))) ((= i 64)) (string-set! s i (integer->char (+ 32 (modulo (+ i n) 90)))))
    (check 'set (char=? (string-ref s 7) (integer->char (+ 32 (modulo (+ 7 n) 90))))))
  (let ((sorted (sort words string<?)))
    (let loop ((rest sorted))
      (if (pair? (cdr rest))
          (begin
            (check 'sorted (string<? (car rest) (cadr rest)))
            (loop (cdr rest)))))))

(do ((n 0 (+ n 1))) ((= n size)) (round! n))
(display "strings: ok")
(newline)
