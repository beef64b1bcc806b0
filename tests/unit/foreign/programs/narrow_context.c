/* Two directions in a context that has shadows for one. */
typedef struct { double first, second; } Pair;
extern void *__enzyme_context(int);
extern Pair __enzyme_fwddiff(void *, ...);
extern int enzyme_context, enzyme_width;

static double gain = 2.0;
static double linear(double x) { return gain * x; }
__attribute__((noinline)) static Pair both(void *context) {
    return __enzyme_fwddiff((void *)linear, enzyme_width, 2, enzyme_context, context, 1.0, 0.0, 0.0);
}

int main(int count, char **words) { return (int)both(__enzyme_context(count)).first; }
