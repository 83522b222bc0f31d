"""
Runs inside gdb, for tests/gdb.sh: one case of gdb-target, each command's output compared with what the program knows. The
case is in the environment: GDB_CASE, and GDB_WORK, a directory.
"""

import os
import re
import struct
import sys
import traceback

import gdb

CASE, WORK = os.environ["GDB_CASE"], os.environ["GDB_WORK"]
SKIPPED = 77


class Skip(Exception):
    pass


def value(expression):
    return int(gdb.parse_and_eval(expression).cast(gdb.lookup_type("unsigned long")))


def sinter(command):
    return gdb.execute("sinter " + command, to_string=True)


def refusal(command):
    """What gdb says to a command that it refuses."""
    try:
        output = sinter(command)
    except gdb.error as error:
        return str(error)
    raise AssertionError(f"'sinter {command}' was not refused: {output}")


def equal(what, found, wanted):
    assert found == wanted, f"{what}: {found!r}, expected {wanted!r}"


def contains(text, part):
    assert part in text, f"{part!r} is not in:\n{text}"


def number_in(pattern, text):
    match = re.search(pattern, text)
    assert match, f"{pattern!r} is not in:\n{text}"
    return int(match.group(1), 0)


def alive():
    return bool(gdb.selected_inferior().threads())


def go_on(command="continue"):
    output = gdb.execute(command, to_string=True)
    if not alive():
        code = gdb.parse_and_eval("$_exitcode")
        if str(code) == str(SKIPPED):
            raise Skip("pages cannot be packed here")
        raise AssertionError(f"the program has ended: {output}")
    return output


def start():
    if not alive():
        gdb.execute("break stop_here", to_string=True)
        go_on("run")
    equal("stops so far", value("stops"), 0)


# ---- the cases ----


def check_statistics():
    text = sinter("heap")
    for name in (
        "allocated cached active dirty committed huge threads spans runs aside packed store guarded quarantined"
    ).split():
        equal(name, number_in(rf"(?m)^  {name} +(\d+) ", text), value(f"stats.{name}"))


def class_row(size):
    match = re.search(rf"(?m)^ +{size} +(\d+) +(\d+) +(\d+) +(\d+) ", sinter("heap"))
    assert match, f"no row for class {size}"
    return [int(n) for n in match.groups()]


def walked(arguments):
    lines = sinter("walk " + arguments).splitlines()
    return {int(line.split()[0], 16) for line in lines[:-1]}, lines[-1]


def check_objects():
    check_statistics()
    addresses = [value(f"blocks[{i}]") for i in range(1000)]
    live, cached, free, spans = class_row(784)
    equal("live of class 784", live, 700)
    equal("slots of class 784", live + cached + free, spans * (65536 // 784))
    found, total = walked("--class 776 --limit 0")
    equal("live blocks of class 784", found, {a for i, a in enumerate(addresses) if i % 10 >= 3})
    equal("their sum", total, f"700 blocks, {700 * 784} bytes")
    others = [walked(f"--class 776 --state {state} --limit 0")[0] for state in ("free", "cached")]
    equal("freed blocks", {a for i, a in enumerate(addresses) if i % 10 < 3} - others[0] - others[1], set())
    check_block("small", 112, "small")
    check_block("large", 102400, "large")
    check_block("huge", 200 << 20, "huge")
    text = sinter("object blocks[0]")
    assert "free" in text or "in a thread cache" in text, text
    contains(text, f"small block at {addresses[0]:#x}, 784 bytes")
    for expression in ("&variable", "$sp", "main", "0", "-1"):
        contains(sinter(f"object {expression}"), "is not Sinter's")
    contains(sinter("page small"), ": resident")
    contains(sinter("page large"), "its pages are always where they are")
    contains(refusal("page &variable"), "is not Sinter's")
    contains(refusal("walk --class 40000"), "the largest class is 32768 bytes")
    contains(refusal("walk --state dead"), "help sinter walk")
    contains(refusal("object nothing_of_the_kind"), "nothing_of_the_kind")


def check_block(name, size, kind):
    address = value(name)
    for offset in (0, 1, size // 2, size - 1):
        text = sinter(f"object (char *) {name} + {offset}")
        contains(text, f"{kind} block at {address:#x}, {size} bytes, live")
        if offset:
            contains(text, f"byte {offset} of it")


def check_guards():
    check_statistics()
    text = sinter("object guarded + 63")
    contains(text, f"guarded block at {value('guarded'):#x}, 64 bytes, live, byte 63 of it")
    contains(text, "allocate_here")
    assert "freed by" not in text, text
    contains(sinter("object guarded + 64"), "1 byte beyond it")
    text = sinter("object guarded_freed")
    contains(text, "1000 bytes, free, quarantined")
    allocated, freed = text.split("freed by thread")
    contains(allocated, "allocate_here")
    contains(freed, "free_there")


SPARSE_LIVE = range(0, 40000, 10)


def check_contents(read):
    for i in SPARSE_LIVE:
        address = value(f"sparse[{i}]")
        equal(f"contents of sparse[{i}]", read(address, 200), bytes([i % 255 + 1]) * 200)


def raw(address, size):
    return bytes(gdb.selected_inferior().read_memory(address, size))


def check_contents_through_sinter():
    from sinter_gdb.pages import Pages

    check_contents(Pages().read)
    text = sinter("x sparse[10] 25")
    data = b"".join(struct.pack("<Q", int(w, 16)) for line in text.splitlines() for w in line.split()[1:])
    equal("what 'sinter x' shows", data, bytes([11]) * 200)


def packed_pages():
    return number_in(r"(?m)^  packed .* (\d+) pages?$", sinter("heap"))


def check_packed():
    """auto-restore is off until the last stop."""
    check_statistics()
    pages = packed_pages()
    assert pages > 1000, f"only {pages} pages are packed"
    check_contents_through_sinter()
    contains(sinter("page sparse[0]"), ": packed")
    contains(sinter("object sparse[0]"), "its page is packed")
    try:
        raw(value("sparse[0]"), 8)
    except gdb.MemoryError:
        pass
    else:
        raise AssertionError("the page is not away: the test tests nothing")
    contains(sinter("restore"), f"{pages} pages brought back")
    equal("pages packed after 'sinter restore'", packed_pages(), 0)
    contains(sinter("restore"), "no page is away")
    contains(sinter("page sparse[0]"), ": resident")
    check_contents(raw)
    check_dump_of_restored()
    check_inside()
    sinter("auto-restore on")
    go_on()
    equal("stops so far", value("stops"), 2)
    check_contents(raw)


def check_dump_of_restored():
    """gdb can read the whole zone, and so can write it to a core dump: also pages that never had anything."""
    low, high = re.search(r"zone of spans +(0x[0-9a-f]+) - (0x[0-9a-f]+)", sinter("heap")).groups()
    raw(int(low, 16), int(high, 16) - int(low, 16))


def check_inside():
    """Stopped inside the allocator, with a lock held: the mover alone does it; and if it cannot, it is refused."""
    go_on()
    assert packed_pages() > 1000
    function = "arena_grow" if has_symbol("arena_grow") else "malloc"
    gdb.execute("break " + function, to_string=True)
    go_on()
    resting = gdb.selected_inferior()
    address = layout().address("mover.resting")
    before = value("$pc")
    resting.write_memory(address, b"\0")
    contains(refusal("restore"), "inside the allocator")
    resting.write_memory(address, b"\1")
    assert packed_pages() > 1000
    contains(sinter("restore"), "pages brought back")
    equal("the program counter", value("$pc"), before)
    check_contents(raw)
    gdb.execute("clear " + function, to_string=True)


def has_symbol(name):
    try:
        return value(name) != 0
    except gdb.error:
        return False


def layout():
    from sinter_gdb.layout import Layout

    return Layout()


def check_auto():
    """auto-restore is on from the start; the mover counts as busy, so that all threads have to run."""
    check_contents(raw)
    equal("pages packed at the first stop", packed_pages(), 0)
    sinter("auto-restore off")
    go_on()
    assert packed_pages() > 1000
    gdb.selected_inferior().write_memory(layout().address("mover.resting"), b"\0")
    contains(sinter("restore"), "all threads ran a moment")
    check_contents(raw)
    check_time_limit()
    go_on()


def check_stress():
    """Pages leave and come back all the time, on a mover that hardly ever rests."""
    for _ in range(3):
        sinter("restore")
        check_contents(raw)
        gdb.execute("call (int) sinter_restore()", to_string=True)  # lets everything run
        equal("pages away", layout().value("pages_aside") + layout().value("pages_packed"), 0)
        gdb.execute("call (int) sinter_compact()", to_string=True)
    go_on()
    check_contents_through_sinter()


def check_time_limit():
    """A call that does not return is taken back."""
    from sinter_gdb import restore

    limit, restore.TIMEOUT = restore.TIMEOUT, 1
    before = value("$pc"), value("$sp")
    try:
        restore.call(value("&pause"))
    except (gdb.error, KeyboardInterrupt):
        pass
    else:
        raise AssertionError("pause() has returned")
    restore.TIMEOUT = limit
    equal("program counter and stack pointer", (value("$pc"), value("$sp")), before)


LOST = {520 + 8: 37, 102400: 5, 150 << 20: 1, 1152: 2}


def check_leaks_here():
    text = sinter("leaks --samples 2")
    count, total = sum(LOST.values()), sum(size * n for size, n in LOST.items())
    contains(text, f"{count} blocks, {total} bytes, to which nothing points")
    for size, n in LOST.items():
        contains(text, f"  {n} block{'' if n == 1 else 's'} of {size} bytes, {size * n} in all\n")
    equal("samples", len(re.findall(r"(?m)^    0x", text)), 7)
    equal("samples of text", text.count(" " + "x" * 32), 2)
    for i in range(value("helds")):
        address = ~value(f"held[{i}]") & (1 << 64) - 1
        contains(sinter(f"object {address}"), "live")
        assert f"{address:#x}:" not in text, f"held[{i}] counts as lost:\n{text}"


def check_leaks():
    check_leaks_here()
    gdb.execute(f"generate-core-file {WORK}/leaks.core", to_string=True)
    go_on()
    assert packed_pages() > 1000
    check_leaks_here()


def check_core():
    """Of the case `leaks` at its first stop."""
    check_leaks_here()
    contains(refusal("restore"), "only a live process")


def check_crash():
    """A core dump that the kernel wrote, with pages packed."""
    pages = packed_pages()
    assert pages > 1000, f"only {pages} pages are packed"
    contains(sinter("heap"), f"{pages} pages of the program's were packed or aside")
    check_contents_through_sinter()
    equal("what gdb itself reads", raw(value("sparse[0]"), 200), bytes(200))
    full = os.path.join(WORK, "full")
    contains(sinter(f"fill-core {full}"), f"{pages} pages filled in")
    contains(refusal(f"fill-core {full}"), "File exists")
    gdb.execute(f"core-file {full}", to_string=True)
    check_contents(raw)
    check_contents_through_sinter()
    assert os.stat(full).st_blocks * 512 < os.stat(full).st_size, "the copy is not sparse"


def main():
    try:
        if CASE not in ("core", "crash"):
            start()
        globals()["check_" + CASE]()
    except Skip as reason:
        print(f"SKIP: {reason}")
        return SKIPPED
    except BaseException:
        traceback.print_exc()
        return 1
    print("as expected")
    return 0


status = main()
sys.stdout.flush()
gdb.execute("kill" if CASE not in ("core", "crash") and alive() else "show version", to_string=True)
gdb.execute(f"quit {status}")
