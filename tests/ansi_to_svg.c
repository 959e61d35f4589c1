// SPDX-License-Identifier: MIT
/* ansi_to_svg.c - a terminal's screen as a picture:
 * tmux capture-pane -e -p | ansi_to_svg COLUMNS ROWS > screen.svg
 *
 * Every run of equal attributes is one text at its own place, so that the grid
 * holds with any monospaced font. */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

enum { CELL_W = 9, CELL_H = 19, MARGIN = 14, BACKGROUND = 0x14181d, FOREGROUND = 0xd7dce2 };

struct attributes {
    int bold, reverse, fg, bg; // colours are 0xrrggbb, -1: the default
};

static int color(int n)
{
    static const int base[16] = {0x2b3038, 0xe05d52, 0x78b26b, 0xd9a941, 0x5b93d6, 0xb683c9,
                                 0x56b0b8, 0xc9ced6, 0x6b737d, 0xff7b6e, 0x98d088, 0xf5c860,
                                 0x7fb2f0, 0xd3a4e4, 0x78d0d8, 0xffffff};
    static const int step[6] = {0, 95, 135, 175, 215, 255};

    if (n < 16)
        return base[n & 15];
    if (n >= 232)
        return (8 + 10 * (n - 232)) * 0x10101;
    n -= 16;
    return step[n / 36] << 16 | step[n / 6 % 6] << 8 | step[n % 6];
}

/* Applies the numbers of ESC [ ... m. */
static void apply(struct attributes *a, const int *code, int n)
{
    static const struct attributes none = {0, 0, -1, -1};

    for (int i = 0; i < n; i++) {
        int c = code[i];
        if (c == 0)
            *a = none;
        else if (c == 1)
            a->bold = 1;
        else if (c == 22)
            a->bold = 0;
        else if (c == 7 || c == 27)
            a->reverse = c == 7;
        else if ((c == 38 || c == 48) && i + 2 < n && code[i + 1] == 5) {
            *(c == 38 ? &a->fg : &a->bg) = color(code[i + 2]);
            i += 2;
        } else if (c == 39)
            a->fg = -1;
        else if (c == 49)
            a->bg = -1;
        else if ((c >= 30 && c <= 37) || (c >= 90 && c <= 97))
            a->fg = color(c < 90 ? c - 30 : c - 82);
        else if (c >= 40 && c <= 47)
            a->bg = color(c - 40);
    }
}

static void put_character(wint_t c)
{
    if (c == '<' || c == '>' || c == '&')
        printf("&#%d;", (int)c);
    else
        printf("%lc", c);
}

struct run {
    wchar_t text[512];
    int n, column, row;
};

static void put_run(struct run *r, const struct attributes *a)
{
    int fg = a->fg < 0 ? FOREGROUND : a->fg, bg = a->bg < 0 ? BACKGROUND : a->bg;
    int x = MARGIN + r->column * CELL_W, y = MARGIN + r->row * CELL_H, width = r->n * CELL_W;

    if (a->reverse) {
        int swap = fg;
        fg = bg;
        bg = swap;
    }
    if (bg != BACKGROUND)
        printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%06x\"/>\n", x, y, width,
               CELL_H, (unsigned)bg);
    for (int i = 0; i < r->n; i++) { // a bar is drawn, so that it fills its cell in any font
        if (r->text[i] >= 0x2581 && r->text[i] <= 0x2588) {
            int height = (r->text[i] - 0x2580) * (CELL_H - 3) / 8;
            printf("<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"#%06x\"/>\n",
                   x + i * CELL_W, y + CELL_H - 2 - height, CELL_W - 1, height, (unsigned)fg);
            r->text[i] = ' ';
        }
    }
    int last = r->n;
    while (last > 0 && r->text[last - 1] == ' ')
        last--;
    if (last > 0) {
        printf("<text x=\"%d\" y=\"%d\" textLength=\"%d\" fill=\"#%06x\"%s xml:space=\"preserve\">",
               x, y + 14, last * CELL_W, (unsigned)fg, a->bold ? " font-weight=\"bold\"" : "");
        for (int i = 0; i < last; i++)
            put_character((wint_t)r->text[i]);
        puts("</text>");
    }
    r->column += r->n;
    r->n = 0;
}

/* Reads ESC [ numbers letter; returns the number of codes if it ends in m. */
static int read_codes(int *code, int max)
{
    int n = 0;
    wint_t c = getwchar();

    if (c != L'[')
        return 0;
    code[0] = 0;
    while ((c = getwchar()) != WEOF) {
        if (c >= L'0' && c <= L'9')
            code[n] = code[n] * 10 + (int)(c - L'0');
        else if (c == L';' && n + 1 < max)
            code[++n] = 0;
        else
            return c == L'm' ? n + 1 : 0;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct attributes now = {0, 0, -1, -1};
    struct run run = {0};
    int code[16], columns = argc == 3 ? atoi(argv[1]) : 0, rows = argc == 3 ? atoi(argv[2]) : 0;
    wint_t c;

    if (columns < 1 || rows < 1 || !setlocale(LC_ALL, "C.UTF-8"))
        return 2;
    printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
           "font-family=\"DejaVu Sans Mono, Menlo, Consolas, monospace\" font-size=\"15\">\n"
           "<rect width=\"100%%\" height=\"100%%\" rx=\"8\" fill=\"#%06x\"/>\n",
           columns * CELL_W + 2 * MARGIN, rows * CELL_H + 2 * MARGIN, (unsigned)BACKGROUND);
    while ((c = getwchar()) != WEOF && run.row < rows) {
        if (c == 27) {
            int n;
            put_run(&run, &now);
            n = read_codes(code, 16);
            apply(&now, code, n);
        } else if (c == L'\n') {
            put_run(&run, &now);
            run.row++;
            run.column = 0;
        } else if (run.n < 511) {
            run.text[run.n++] = (wchar_t)c;
        }
    }
    put_run(&run, &now);
    puts("</svg>");
    return 0;
}
