/* What the program is given, and what it returns. */
#include "check.h"

int main(int count, char **words) {
    if (count != 3 || strcmp(words[1], "seven"))
        return 1;
    printf("%s\n", words[2]);
    return 7;
}
