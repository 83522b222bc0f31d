; (check expression => expected) compares with equal?; (check-error expression text): the expression's error report
; contains the text. (done name) prints the result.
(define checks 0)
(define failures 0)

(define (report-failure form got expected)
  (set! failures (+ failures 1))
  (write form)
  (display " is ")
  (write got)
  (display ", not ")
  (write expected)
  (newline))

(define (compare form got expected)
  (set! checks (+ checks 1))
  (if (not (equal? got expected)) (report-failure form got expected)))

(define-syntax check
  (syntax-rules (=>)
    ((_ expression => expected) (compare 'expression expression expected))))

(define (error-text thunk)
  (guard (condition ((error? condition)
                     (string-append (or (error-object-location condition) "?")
                                    ": "
                                    (condition/report-string condition)))
                    (else (list 'raised condition)))
    (thunk)
    "no error"))

(define-syntax check-error
  (syntax-rules ()
    ((_ expression text)
     (let ((got (error-text (lambda () expression))))
       (set! checks (+ checks 1))
       (if (not (and (string? got) (string-search text got)))
           (report-failure 'expression got text))))))

(define (done name)
  (if (> failures 0)
      (begin
        (display (list name 'failures: failures 'of checks))
        (newline)
        (exit 1)))
  (display name)
  (display ": ok (")
  (display checks)
  (display " checks)")
  (newline))
