; Lists that are taken apart and put together again in place: old objects that change. The argument is the number of rounds.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 20000)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define (make-rows rows columns)
  (list-tabulate rows (lambda (row) (list-tabulate columns (lambda (column) (+ (* row columns) column))))))

; Moves the first cell of each row to the end of the next, in place.
(define (rotate! rows)
  (let ((first-cells (map (lambda (row) row) rows)))
    (let loop ((holders rows) (cells (append (list (last first-cells)) first-cells)))
      (if (pair? holders)
          (begin
            (set-car! holders (cdr (car holders)))
            (loop (cdr holders) (cdr cells)))))
    (let loop ((holders rows) (cells (cons (last first-cells) first-cells)))
      (if (pair? holders)
          (let ((cell (car cells)))
            (set-cdr! cell '())
            (set-cdr! (last-pair (car holders)) cell)
            (loop (cdr holders) (cdr cells)))))))

; Splits a list in the middle, in place, and joins the halves the other way round.
(define (swap-halves! list)
  (let* ((middle (list-tail list (- (quotient (length list) 2) 1))) (second (cdr middle)))
    (set-cdr! middle '())
    (set-cdr! (last-pair second) list)
    second))

(define (total rows) (apply + (map (lambda (row) (apply + row)) rows)))

(define rows (make-rows 40 60))
(define sum (total rows))
(do ((i 0 (+ i 1))) ((= i size))
  (rotate! rows)
  (let loop ((holders rows))
    (if (pair? holders)
        (begin
          (set-car! holders (swap-halves! (car holders)))
          (loop (cdr holders)))))
  (check 'length (every (lambda (row) (= (length row) 60)) rows)))
(check 'sum (= (total rows) sum))
(check 'each (equal? (sort (apply append rows) <) (iota 2400)))
(display "destruct: ok")
(newline)
