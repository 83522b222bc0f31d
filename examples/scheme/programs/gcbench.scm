; Binary trees of many sizes, short and long lived, beside an array of numbers. The argument is the depth of the largest.
(define size
  (let ((arguments (cdr (command-line))))
    (if (pair? arguments) (string->number (car arguments)) 17)))
(define (check name right?)
  (if (not right?) (error "wrong result" name)))

(define-record-type node (make-node left right) node? (left node-left set-node-left!) (right node-right set-node-right!))

(define (make-tree depth)
  (if (= depth 0)
      (make-node #f #f)
      (make-node (make-tree (- depth 1)) (make-tree (- depth 1)))))

; Fills a tree from the top down: old objects come to point to new ones.
(define (populate! depth node)
  (if (> depth 0)
      (begin
        (set-node-left! node (make-node #f #f))
        (set-node-right! node (make-node #f #f))
        (populate! (- depth 1) (node-left node))
        (populate! (- depth 1) (node-right node)))))

(define (count-nodes node)
  (if node (+ 1 (count-nodes (node-left node)) (count-nodes (node-right node))) 0))
(define (nodes-of depth) (- (expt 2 (+ depth 1)) 1))

(define array-size (* 20 (nodes-of (- size 6))))
(define long-lived (make-node #f #f))
(populate! size long-lived)
(define array (make-vector array-size 0.))
(do ((i 0 (+ i 1))) ((= i (quotient array-size 2))) (vector-set! array i (/ 1. (+ i 1))))

(do ((depth 4 (+ depth 2))) ((> depth size))
  (let ((runs (quotient (nodes-of size) (nodes-of depth))))
    (do ((i 0 (+ i 1))) ((= i runs))
      (let ((top (make-node #f #f)))
        (populate! depth top)
        (check 'top-down (= (count-nodes top) (nodes-of depth))))
      (check 'bottom-up (= (count-nodes (make-tree depth)) (nodes-of depth))))))

(check 'long-lived (= (count-nodes long-lived) (nodes-of size)))
(do ((i 0 (+ i 1))) ((= i (quotient array-size 2)))
  (check 'array (= (vector-ref array i) (/ 1. (+ i 1)))))
(display "gcbench: ok")
(newline)
