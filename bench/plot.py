"""Curves of resident memory over time, drawn by gnuplot: as a picture, or in characters for a terminal."""

import os
import shutil
import subprocess

MIB = 1 << 20
TERMINALS = {
    ".png": "pngcairo size 1000,560 font 'sans,11'",
    ".svg": "svg size 1000,560 font 'sans,13' background 'white'",
}
COLOURS = ["#888888", "#c44e52", "#4c72b0", "#dd8452", "#8172b3", "#937860", "#64b5cd"]


def have_gnuplot():
    return shutil.which("gnuplot") is not None


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


def data_blocks(curves):
    lines = []
    for number, samples in enumerate(curves.values()):
        lines += [f"$curve{number} << END"] + [f"{when:.2f} {size / MIB:.2f}" for when, size in samples] + ["END"]
    return lines


def plot_command(curves, style):
    parts = [f"$curve{number} with {style(number)} title {quoted(name)}" for number, name in enumerate(curves)]
    return "plot " + ", ".join(parts)


def common(title, marks):
    lines = [f"set title {quoted(title)} noenhanced", "set xlabel 'seconds'", "set yrange [0:*]", "set key noenhanced"]
    for when, text in marks:
        lines += [f"set arrow from {when:.2f}, graph 0 to {when:.2f}, graph 1 nohead dashtype 3",
                  f"set label {quoted(text)} at {when:.2f}, graph 0.5 rotate by 90 center offset 0.7,0 noenhanced"]
    return lines


def gnuplot(lines):
    """What gnuplot prints, or None if it fails."""
    done = subprocess.run(["gnuplot"], input="\n".join(lines) + "\n", capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


def draw(path, title, curves, marks=()):
    """A picture of `curves` (name to samples, as watch.py takes them); whether that succeeded."""
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    lines = [f"set terminal {TERMINALS[os.path.splitext(path)[1]]}", f"set output {quoted(path)}"]
    lines += common(title, marks)
    lines += ["set ylabel 'resident memory, MiB'", "set grid ytics", "set key outside bottom center horizontal"]
    style = "lines linewidth 2 linecolor rgb {}".format
    return gnuplot(lines + data_blocks(curves)
                   + [plot_command(curves, lambda number: style(quoted(COLOURS[number % len(COLOURS)])))]) is not None


def sketch(title, curves, width=100, height=22):
    """The same in characters, or None."""
    lines = [f"set terminal dumb {width} {height}"] + common(title, ()) + ["set key below"]
    text = gnuplot(lines + data_blocks(curves) + [plot_command(curves, lambda _: "lines")])
    return text and "\n".join(line.rstrip() for line in text.strip("\n\f").splitlines())
