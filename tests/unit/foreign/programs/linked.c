/* Recursive functions on linked memory: what is behind the pointers that they hand on has derivatives, too. */
#include "check.h"

extern double __enzyme_autodiff(void *, ...);
extern double __enzyme_fwddiff(void *, ...);

typedef struct Node {
    double value;
    struct Node *next;
} Node;

static double horner(const Node *node) { return node ? node->value * horner(node->next) + node->value : 1.0; }
static void scale(Node *node, double factor) {
    if (!node)
        return;
    scale(node->next, factor);
    node->value *= factor;
}
static double on_heap(double x, int n) {
    Node *first = NULL;
    for (int i = 0; i < n; i++) {
        Node *node = malloc(sizeof *node);
        node->value = x * (i + 1);
        node->next = first;
        first = node;
    }
    scale(first, x);
    double result = horner(first);
    while (first) {
        Node *next = first->next;
        free(first);
        first = next;
    }
    return result;
}
static double on_stack(double x) {
    Node last = {x, NULL}, first = {2.0 * x, &last};
    return horner(&first);
}
static double by_address(Node *node) {
    scale(node, 2.0);
    return horner(node);
}

int main(void) {
    double x = 1.3;
    /* 2x·(x + x) + 2x, of the first node's value and the last one's */
    CHECK(__enzyme_autodiff((void *)on_stack, x), 8.0 * x + 2.0);
    CHECK(__enzyme_fwddiff((void *)on_stack, x, 1.0), 8.0 * x + 2.0);
    /* with values a = 2x² and b = x²: a·(b + b) + a */
    CHECK(__enzyme_autodiff((void *)on_heap, x, 2), 16.0 * x * x * x + 4.0 * x);
    CHECK(__enzyme_fwddiff((void *)on_heap, x, 1.0, 2), 16.0 * x * x * x + 4.0 * x);

    Node last = {3.0, NULL}, first = {2.0, &last};
    Node dlast = {0.0, NULL}, dfirst = {0.0, &dlast};
    __enzyme_autodiff((void *)by_address, &first, &dfirst);
    CHECK(dfirst.value, 2.0 * (12.0 + 1.0));
    CHECK(dlast.value, 4.0 * 4.0);
    return 0;
}
