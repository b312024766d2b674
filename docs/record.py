"""Runs a command in a terminal and draws what it showed as an SVG that plays it: record.py OUT.svg COLUMNS ROWS COMMAND...

Wants pyte (tests/requirements.txt). `make pictures` runs it.
"""

import fcntl
import html
import os
import pty
import select
import struct
import sys
import termios
import time

import pyte

INTERVAL, LAST = 0.2, 3.0
WIDTH, HEIGHT, MARGIN = 8.4, 20, 16


def frames(command, columns, rows):
    """(seconds, lines) whenever the screen had changed."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLUMNS=str(columns))
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    began, shown = time.monotonic(), []
    while True:
        until = time.monotonic() + INTERVAL
        while (left := until - time.monotonic()) > 0:
            if not select.select([terminal], [], [], left)[0]:
                break
            try:
                stream.feed(os.read(terminal, 65536))
            except OSError:  # The command has ended.
                shown.append((time.monotonic() - began, [line.rstrip() for line in screen.display]))
                return shown, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        lines = [line.rstrip() for line in screen.display]
        if any(lines) and (not shown or shown[-1][1] != lines):
            shown.append((time.monotonic() - began, lines))


def drawn(shown, title, columns):
    total = shown[-1][0] + LAST
    rows = max((at + 1 for _, lines in shown for at, line in enumerate(lines) if line), default=1) + 1
    width, height = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    text = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{html.escape(title)}</title>",
        '<rect width="100%" height="100%" rx="8" fill="#17191f"/>',
        '<g font-family="ui-monospace, Menlo, Consolas, monospace" font-size="14" fill="#e6e8ee" xml:space="preserve">',
        f'<text x="{MARGIN}" y="{MARGIN + 14}"><tspan fill="#7fd18c">$</tspan> {html.escape(title)}</text>',
    ]
    for at, (begin, lines) in enumerate(shown):
        begin = 0 if at == 0 else begin / total
        end = shown[at + 1][0] / total if at + 1 < len(shown) else 1
        times = [(0, "hidden"), (begin, "visible"), (end, "hidden")]
        times = [time for time in times if time[0] < 1]
        if begin == 0:
            times = times[1:]
        # Where nothing plays, the frame in the middle is seen.
        still = "visible" if at == len(shown) // 2 else "hidden"
        text.append(f'<g visibility="{still}"><animate attributeName="visibility" calcMode="discrete" dur="{total:.2f}s" '
                    f'repeatCount="indefinite" keyTimes="{";".join(f"{time:.4f}" for time, _ in times)}" '
                    f'values="{";".join(value for _, value in times)}"/>')
        for row, line in enumerate(lines):
            if line:
                y = MARGIN + 14 + (row + 1) * HEIGHT
                text.append(f'<text x="{MARGIN}" y="{y}" textLength="{len(line) * WIDTH:.0f}">{html.escape(line)}</text>')
        text.append("</g>")
    return "\n".join(text + ["</g>", "</svg>", ""])


out, columns, rows, *command = sys.argv[1:]
shown, code = frames(command, int(columns), int(rows))
title = " ".join([os.path.basename(command[0])] + [os.path.basename(word) for word in command[1:]])
with open(out, "w") as file:
    file.write(drawn(shown, title, int(columns)))
sys.exit(code)
