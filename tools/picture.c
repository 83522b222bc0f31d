#include "config.h"

#include "picture.h"

#include <stdio.h>
#include <string.h>

#if HAVE_CAIRO

#include <cairo-svg.h>
#include <cairo.h>
#include <stdlib.h>

enum {
    ROW_PAGES = 64, /* dots in a row, at least; doubled until there are no more rows than that */
    WIDTH = 512,    /* of a part: dots are as many pixels wide and high as that takes, at least one */
    MARGIN = 16,
    LINE = 18,
    LEGEND_BOX = 12,
    LEGEND_COLUMN = 250,
};

/* Of an empty and of a full page, red, green and blue; between them it is mixed. */
static const struct colours {
    uint8_t empty[3], full[3];
} colours[MAP_STATE_COUNT] = {
    [MAP_UNUSED] = {{255, 255, 255}, {255, 255, 255}}, [MAP_RETURNED] = {{236, 236, 236}, {236, 236, 236}},
    [MAP_DIRTY] = {{150, 150, 150}, {150, 150, 150}},  [MAP_EMPTY] = {{248, 240, 225}, {248, 240, 225}},
    [MAP_SMALL] = {{176, 205, 240}, {12, 52, 118}},    [MAP_ASIDE] = {{255, 214, 140}, {214, 116, 0}},
    [MAP_PACKED] = {{188, 228, 180}, {22, 108, 40}},   [MAP_LARGE] = {{206, 184, 224}, {96, 52, 140}},
    [MAP_GUARDED] = {{120, 205, 205}, {0, 110, 110}},  [MAP_CLOSED] = {{60, 60, 60}, {60, 60, 60}},
};

/* How the zones are laid out: the same for all parts, so that they can be compared. */
struct layout {
    size_t row_pages, rows[MAP_ZONE_COUNT];
    double scale, width, height; /* of one part */
};

static uint32_t colour_of(struct map_page page)
{
    const struct colours *c = &colours[page.state < MAP_STATE_COUNT ? page.state : MAP_UNUSED];
    uint32_t value = 0;
    for (int i = 0; i < 3; i++)
        value = value << 8 | (uint32_t)(c->empty[i] + (c->full[i] - c->empty[i]) * page.fill / UINT8_MAX);
    return value;
}

/* Without what has never been used at the end of the zone. */
static size_t pages_shown(const struct map_data_zone *zone)
{
    size_t count = zone->count;
    while (count > 0 && zone->pages[count - 1].state == MAP_UNUSED)
        count--;
    return count;
}

static struct layout lay_out(const struct picture_part *parts, size_t count)
{
    struct layout layout = {.row_pages = ROW_PAGES};
    size_t shown[MAP_ZONE_COUNT] = {0}, most = 0;
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
        for (size_t i = 0; i < count; i++)
            shown[zone] = max_size(shown[zone], pages_shown(&parts[i].data->zones[zone]));
        most = max_size(most, shown[zone]);
    }
    while (most / layout.row_pages > layout.row_pages)
        layout.row_pages *= 2;
    layout.scale = (double)max_size(1, WIDTH / layout.row_pages);
    layout.width = (double)layout.row_pages * layout.scale;
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
        layout.rows[zone] = (shown[zone] + layout.row_pages - 1) / layout.row_pages;
        if (layout.rows[zone] > 0)
            layout.height += LINE + (double)layout.rows[zone] * layout.scale + MARGIN / 2.0;
    }
    return layout;
}

/* ---- drawing ---- */

static void draw_text(cairo_t *cairo, double x, double y, double size, const char *text)
{
    cairo_set_source_rgb(cairo, 0.15, 0.15, 0.15);
    cairo_set_font_size(cairo, size);
    cairo_move_to(cairo, x, y);
    cairo_show_text(cairo, text);
}

static void draw_pages(cairo_t *cairo, const struct layout *layout, const struct map_data_zone *zone,
                       size_t rows, double x, double y)
{
    cairo_surface_t *dots = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)layout->row_pages, (int)rows);
    if (cairo_surface_status(dots) != CAIRO_STATUS_SUCCESS)
        return; /* the status of the whole says so, too */
    unsigned char *data = cairo_image_surface_get_data(dots);
    size_t stride = (size_t)cairo_image_surface_get_stride(dots);
    for (size_t page = 0; page < rows * layout->row_pages; page++) {
        struct map_page unused = {MAP_UNUSED, 0};
        uint32_t colour = colour_of(page < zone->count ? zone->pages[page] : unused);
        memcpy(data + page / layout->row_pages * stride + page % layout->row_pages * sizeof(colour), &colour,
               sizeof(colour));
    }
    cairo_surface_mark_dirty(dots);
    cairo_save(cairo);
    cairo_translate(cairo, x, y);
    cairo_scale(cairo, layout->scale, layout->scale);
    cairo_set_source_surface(cairo, dots, 0, 0);
    cairo_pattern_set_filter(cairo_get_source(cairo), CAIRO_FILTER_NEAREST);
    cairo_paint(cairo);
    cairo_restore(cairo);
    cairo_surface_destroy(dots);
}

static void draw_part(cairo_t *cairo, const struct layout *layout, const struct picture_part *part, double x,
                      double y)
{
    draw_text(cairo, x, y + LINE - 5, 14, part->caption);
    y += LINE + MARGIN / 2.0;
    for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
        const struct map_data_zone *data = &part->data->zones[zone];
        char label[96];
        if (layout->rows[zone] == 0)
            continue;
        snprintf(label, sizeof(label), "%s: %.1f MiB of address space", map_zone_names[zone],
                 (double)pages_shown(data) * PAGE_BYTES / MiB);
        draw_text(cairo, x, y + LINE - 6, 12, label);
        draw_pages(cairo, layout, data, layout->rows[zone], x, y + LINE);
        y += LINE + (double)layout->rows[zone] * layout->scale + MARGIN / 2.0;
    }
}

static bool is_shown(const struct picture_part *parts, size_t count, int state)
{
    for (size_t i = 0; i < count; i++) {
        for (int zone = 0; zone < MAP_ZONE_COUNT; zone++) {
            const struct map_data_zone *data = &parts[i].data->zones[zone];
            for (size_t page = pages_shown(data); page > 0; page--) {
                if (data->pages[page - 1].state == state)
                    return true;
            }
        }
    }
    return false;
}

static void draw_box(cairo_t *cairo, double x, double y, struct map_page page)
{
    uint32_t colour = colour_of(page);
    cairo_rectangle(cairo, x, y, LEGEND_BOX, LEGEND_BOX);
    cairo_set_source_rgb(cairo, (colour >> 16) / 255.0, (colour >> 8 & 255) / 255.0, (colour & 255) / 255.0);
    cairo_fill_preserve(cairo);
    cairo_set_source_rgb(cairo, 0.6, 0.6, 0.6);
    cairo_set_line_width(cairo, 0.5);
    cairo_stroke(cairo);
}

/* The states that occur; those that can be full to a degree with two boxes. How high it is; nothing is drawn without `cairo`. */
static double draw_legend(cairo_t *cairo, const struct picture_part *parts, size_t count, double width,
                          double y)
{
    int columns = width < 2 * LEGEND_COLUMN ? 1 : (int)(width / LEGEND_COLUMN), at = 0;
    for (int state = MAP_UNUSED + 1; state < MAP_STATE_COUNT; state++) {
        if (!is_shown(parts, count, state))
            continue;
        double x = MARGIN + at % columns * (double)LEGEND_COLUMN, line = y + at / columns * (double)LINE;
        bool graded = memcmp(colours[state].empty, colours[state].full, 3) != 0;
        char text[160];
        at++;
        if (cairo == NULL)
            continue;
        draw_box(cairo, x, line, (struct map_page){(uint8_t)state, 0});
        if (graded)
            draw_box(cairo, x + LEGEND_BOX, line, (struct map_page){(uint8_t)state, UINT8_MAX});
        snprintf(text, sizeof(text), "%s%s", map_state_names[state], graded ? " (nearly empty, full)" : "");
        draw_text(cairo, x + 2 * LEGEND_BOX + 6, line + LEGEND_BOX - 2, 12, text);
    }
    return (double)((at + columns - 1) / columns) * LINE;
}

static void draw_all(cairo_t *cairo, const char *title, const struct layout *layout,
                     const struct picture_part *parts, size_t count, double width)
{
    double top = MARGIN + LINE + MARGIN / 2.0;
    cairo_set_source_rgb(cairo, 1, 1, 1);
    cairo_paint(cairo);
    cairo_select_font_face(cairo, "sans", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    draw_text(cairo, MARGIN, MARGIN + LINE - 4, 16, title);
    for (size_t i = 0; i < count; i++)
        draw_part(cairo, layout, &parts[i], MARGIN + (double)i * (layout->width + MARGIN), top);
    draw_legend(cairo, parts, count, width - 2 * MARGIN,
                top + LINE + MARGIN / 2.0 + layout->height + MARGIN / 2.0);
}

static bool ends_with(const char *path, const char *suffix)
{
    size_t length = strlen(path), tail = strlen(suffix);
    return length > tail && strcmp(path + length - tail, suffix) == 0;
}

bool picture_knows(const char *path)
{
    if (ends_with(path, ".png") || ends_with(path, ".svg"))
        return true;
    fprintf(stderr, "sinter map: %s: the name of a picture ends in .png or .svg\n", path);
    return false;
}

bool picture_draw(const char *path, const char *title, const struct picture_part *parts, size_t count)
{
    struct layout layout = lay_out(parts, count);
    double width = 2 * MARGIN + (double)count * layout.width + (double)(count - 1) * MARGIN;
    double height = 2 * MARGIN + 2 * (LINE + MARGIN / 2.0) + layout.height + MARGIN / 2.0 +
                    draw_legend(NULL, parts, count, width - 2 * MARGIN, 0);
    bool svg = ends_with(path, ".svg");
    cairo_surface_t *surface = svg ? cairo_svg_surface_create(path, width, height)
                                   : cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)width, (int)height);
    cairo_t *cairo = cairo_create(surface);
    draw_all(cairo, title, &layout, parts, count, width);
    cairo_status_t status = cairo_status(cairo);
    cairo_destroy(cairo);
    if (status == CAIRO_STATUS_SUCCESS && !svg)
        status = cairo_surface_write_to_png(surface, path);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status != CAIRO_STATUS_SUCCESS)
        fprintf(stderr, "sinter map: %s: %s\n", path, cairo_status_to_string(status));
    return status == CAIRO_STATUS_SUCCESS;
}

#else

bool picture_knows(const char *path)
{
    fprintf(stderr, "sinter map: %s: built without libcairo, which draws pictures\n", path);
    return false;
}

bool picture_draw(const char *path, const char *title, const struct picture_part *parts, size_t count)
{
    (void)title;
    (void)parts;
    (void)count;
    return picture_knows(path);
}

#endif
