// SPDX-License-Identifier: MIT
#include "stream/view.h"

#include "stream/lines.h"
#include "stream/scene.h"

#include <langinfo.h>
#include <locale.h>
#include <ncurses.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <wchar.h>

enum { PAIR_DIM = 1, PAIR_WARN, PAIR_GOOD, PAIR_SPEAKER, N_COLORS = 7, NAME_CELLS = 16 };

/* Okabe and Ito's palette, which survives colour blindness: its nearest in the
 * 256 colours, and among the first 8. */
static const short colors256[N_COLORS] = {214, 74, 36, 227, 33, 202, 176};
static const short colors8[N_COLORS] = {COLOR_YELLOW, COLOR_CYAN, COLOR_GREEN, COLOR_MAGENTA,
                                        COLOR_BLUE,   COLOR_RED,  COLOR_WHITE};

struct view {
    struct scene scene;
    char message[256];
    int utf8, dirty;
    struct timespec drawn;
};

static void make_colors(void)
{
    const short *colors = COLORS >= 256 ? colors256 : colors8;

    if (!has_colors())
        return;
    start_color();
    use_default_colors();
    init_pair(PAIR_DIM, COLORS >= 256 ? 244 : COLOR_WHITE, -1);
    init_pair(PAIR_WARN, COLORS >= 256 ? 203 : COLOR_RED, -1);
    init_pair(PAIR_GOOD, COLORS >= 256 ? 114 : COLOR_GREEN, -1);
    for (short i = 0; i < N_COLORS; i++)
        init_pair((short)(PAIR_SPEAKER + i), colors[i], -1);
}

int view_open(struct view **out, struct error *err)
{
    struct view *v = calloc(1, sizeof(*v));
    SCREEN *screen;

    *out = NULL;
    if (!v)
        return fail(err, "out of memory");
    setlocale(LC_CTYPE, ""); // characters; numbers stay as files want them
    screen = newterm(NULL, stdout, stdin);
    if (!screen) {
        free(v);
        return fail(err, "the terminal \"%.40s\" is not known to ncurses; try TERM=xterm",
                    getenv("TERM") ? getenv("TERM") : "");
    }
    set_term(screen);
    make_colors();
    cbreak();
    noecho();
    nodelay(stdscr, TRUE);
    keypad(stdscr, TRUE);
    curs_set(0);
    scene_init(&v->scene);
    v->utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8");
    v->dirty = 1;
    *out = v;
    return 0;
}

void view_close(struct view **v)
{
    if (!*v)
        return;
    endwin();
    free(*v);
    *v = NULL;
}

void view_take(struct view *v, const struct report *r)
{
    scene_take(&v->scene, r);
    v->dirty = 1;
}

void view_message(struct view *v, const char *text)
{
    snprintf(v->message, sizeof(v->message), "%s", text);
    v->dirty = 1;
}

static attr_t speaker_color(int i)
{
    return has_colors() ? COLOR_PAIR(PAIR_SPEAKER + i % N_COLORS) : 0;
}

static attr_t dim(void)
{
    return has_colors() ? COLOR_PAIR(PAIR_DIM) : A_DIM;
}

/* Prints a name in exactly so many cells, by its characters' widths. */
static void put_name(int y, int x, const char *name, int cells)
{
    wchar_t wide[REPORT_NAME_BYTES], cut[REPORT_NAME_BYTES + 1];
    size_t n = mbstowcs(wide, name, REPORT_NAME_BYTES - 1), used = 0;
    int at = 0;

    if (n == (size_t)-1) { // not of this locale
        mvprintw(y, x, "%-*.*s", cells, cells, name);
        return;
    }
    for (size_t i = 0; i < n; i++) {
        int width = wcwidth(wide[i]);
        if (width < 0 || at + width > cells)
            break;
        cut[used++] = wide[i];
        at += width;
    }
    cut[used] = 0;
    mvprintw(y, x, "%ls%*s", cut, cells - at, "");
}

/* One cell of a strip: its height is the probability; solid while speaking. */
static void put_cell(const struct view *v, int y, int x, int i, int column)
{
    static const wchar_t blocks[] = L" ▁▂▃▄▅▆▇█";
    static const char ascii[] = " ._-=+*%#";
    int level = (v->scene.activity[i][column] * 8 + 127) / 255, spoke = v->scene.spoke[i][column];
    attr_t attr = spoke ? speaker_color(i) | A_BOLD : dim();

    level = spoke && level < 2 ? 2 : level;
    attron(attr);
    if (v->utf8)
        mvprintw(y, x, "%lc", (wint_t)blocks[level]);
    else
        mvaddch(y, x, (chtype)ascii[level]);
    attroff(attr);
}

static void put_strip(const struct view *v, int y, int x, int width, int i)
{
    const struct scene *s = &v->scene;
    int64_t last = s->block.number;

    for (int k = 0; k < width && k < SCENE_HISTORY - 1; k++) {
        int64_t number = last - k;
        if (number < 0 || s->seconds == 0.0)
            break;
        put_cell(v, y, x + width - 1 - k, i, (int)(number % SCENE_HISTORY));
    }
}

static void draw_header(const struct view *v, int width)
{
    const struct scene *s = &v->scene;
    char time[32];
    int x;

    lines_time(time, sizeof(time), s->seconds);
    attron(A_BOLD);
    mvprintw(0, 0, "antiphon");
    attroff(A_BOLD);
    attron(dim());
    mvprintw(0, 10, "%.*s", width > 30 ? width - 24 : 0, s->start.source);
    attroff(dim());
    x = width - (int)strlen(time) - (s->ended ? 6 : 2);
    if (x > 9) {
        attron(A_BOLD);
        mvprintw(0, x, " %s%s", time, s->ended ? " end" : "");
        attroff(A_BOLD);
    }
}

/* -60 dBFS to 0 in 20 cells. */
static void draw_level(const struct view *v, int y)
{
    float level = v->scene.seconds > 0.0 ? v->scene.block.level_dbfs : -120.0f;
    int cells = (int)((level + 60.0f) / 3.0f);

    mvprintw(y, 0, "level ");
    for (int i = 0; i < 20; i++) {
        attr_t attr = i >= cells ? dim() : i >= 18 && has_colors() ? COLOR_PAIR(PAIR_WARN)
                                       : has_colors()              ? COLOR_PAIR(PAIR_GOOD)
                                                                   : A_BOLD;
        attron(attr);
        if (v->utf8)
            addstr(i < cells ? "▮" : "▯");
        else
            addch(i < cells ? '|' : '.');
        attroff(attr);
    }
    if (level <= -119.9f)
        printw("   silent");
    else
        printw(" %5.0f dB", (double)level);
}

static void draw_status(const struct view *v, int y, int width)
{
    const struct report_block *b = &v->scene.block;
    attr_t warn = has_colors() ? COLOR_PAIR(PAIR_WARN) | A_BOLD : A_REVERSE;

    draw_level(v, y);
    if (width >= 62)
        printw("   latency %4.0f ms   load %3.0f %%", (double)b->latency_ms,
               100.0 * (double)b->load);
    if (width >= 80 && b->dropped_samples == 0) {
        printw("   no drops");
    } else if (b->dropped_samples > 0) {
        attron(warn);
        printw("   %.1f s dropped", (double)b->dropped_samples / 16000.0);
        attroff(warn);
    }
}

static void draw_speaker(const struct view *v, int y, int width, int i)
{
    const struct scene_speaker *who = &v->scene.speaker[i];
    attr_t attr = speaker_color(i) | (who->speaking ? A_BOLD | A_REVERSE : 0);
    double talk = scene_talk_seconds(&v->scene, i);
    int cells = width >= 60 ? NAME_CELLS : width / 4, x = cells + 5;
    char time[32];

    attron(attr);
    mvprintw(y, 0, " %c ", who->speaking ? '>' : ' ');
    if (v->utf8)
        mvprintw(y, 0, " %s ", who->speaking ? "●" : " ");
    put_name(y, 3, who->name, cells);
    addch(' ');
    attroff(attr);
    lines_time(time, sizeof(time), talk);
    if (width >= 50) {
        mvprintw(y, x, "%8s", time);
        attron(dim());
        printw(" %3.0f%%", v->scene.seconds > 0.0 ? 100.0 * talk / v->scene.seconds : 0.0);
        attroff(dim());
        x += 15;
    }
    if (width > x + 1)
        put_strip(v, y, x, width - x - 1, i);
}

/* Seconds before now, every so many columns. */
static void draw_axis(const struct view *v, int y, int width)
{
    int x = width >= 50 ? (width >= 60 ? NAME_CELLS : width / 4) + 20 : width / 4 + 5;
    double column = (double)v->scene.start.block_ms / 1000.0;
    int right = width - 2;

    if (column <= 0.0)
        return;
    attron(dim());
    mvprintw(y, right - 2, "now");
    for (int seconds = 5; right - (int)(seconds / column) >= x; seconds += 5) {
        char text[16];
        int at = right - (int)(seconds / column);
        int n = snprintf(text, sizeof(text), "-%ds", seconds);
        if (at - n / 2 >= x && at + n < right - 3)
            mvprintw(y, at - n / 2, "%s", text);
    }
    attroff(dim());
}

static void draw(struct view *v)
{
    int height, width, hidden, n, rows[REPORT_MAX_SPEAKERS], room;
    attr_t warn = has_colors() ? COLOR_PAIR(PAIR_WARN) | A_BOLD : A_BOLD;

    getmaxyx(stdscr, height, width);
    erase();
    draw_header(v, width);
    if (height > 3)
        draw_status(v, 1, width);
    room = height - 5; // two above, axis, message and help below
    room = room < 1 ? 1 : room > REPORT_MAX_SPEAKERS ? REPORT_MAX_SPEAKERS : room;
    n = scene_rows(&v->scene, rows, room, &hidden);
    int first = height > 7 ? 3 : height > 3 ? 2 : 1;
    for (int i = 0; i < n && first + i < height; i++)
        draw_speaker(v, first + i, width, rows[i]);
    if (n == 0 && first < height) {
        attron(dim());
        mvprintw(first, 1, "nobody has spoken yet");
        attroff(dim());
    }
    if (n > 0 && first + n < height - 2)
        draw_axis(v, first + n, width);
    if (v->message[0] && height > 4) {
        attron(warn);
        mvprintw(height - 2, 0, "%.*s", width, v->message);
        attroff(warn);
    }
    attron(dim());
    mvprintw(height - 1, 0, "q quits");
    if (hidden)
        printw("   %d more speakers", hidden);
    if (v->scene.block.overlap > 1)
        printw("   %d at once", v->scene.block.overlap);
    attroff(dim());
    refresh();
}

static double since(const struct timespec *t)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - t->tv_sec) + 1e-9 * (double)(now.tv_nsec - t->tv_nsec);
}

int view_update(struct view *v)
{
    for (int key; (key = getch()) != ERR;) {
        if (key == 'q' || key == 'Q')
            return 1;
        if (key == KEY_RESIZE)
            v->dirty = 1;
    }
    if (v->dirty && since(&v->drawn) > 0.05) {
        draw(v);
        v->dirty = 0;
        clock_gettime(CLOCK_MONOTONIC, &v->drawn);
    }
    return 0;
}
