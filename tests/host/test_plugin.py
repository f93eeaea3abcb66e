# SPDX-License-Identifier: MIT
"""Plugins of the emulator: compiled once, loaded, called; what is wrong is said."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.host.commands import HELLO

from exokernel.host import plugin
from exokernel.host.build import build
from exokernel.host.machine import Machine, Options
from exokernel.host.terminal import Failure

COUNTER = """
#include <stdio.h>
#include <stdlib.h>
#include "qemu_plugin.h"

int qemu_plugin_version = QEMU_PLUGIN_VERSION;
static uint64_t count;
static const char *path;

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(tb); i++)
        qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_tb_get_insn(tb, i), QEMU_PLUGIN_INLINE_ADD_U64, &count, 1);
}

static void ended(qemu_plugin_id_t id, void *nothing)
{
    (void)id, (void)nothing;
    FILE *file = fopen(path, "w");
    fprintf(file, "%lu\\n", count);
    fclose(file);
}

int qemu_plugin_install(qemu_plugin_id_t id, const qemu_info_t *info, int argc, char **argv)
{
    (void)info, (void)argc;
    path = argv[0] + 4;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
"""


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EXO_CACHE", str(tmp_path / "a,cache"))
    source = tmp_path / "counter.c"
    source.write_text(COUNTER)
    return source


def test_a_plugin_is_compiled_once_and_called(counter: Path, tmp_path: Path) -> None:
    library = plugin.compiled(counter)
    written = library.stat().st_mtime_ns
    assert plugin.compiled(counter) == library
    assert library.stat().st_mtime_ns == written
    counter.write_text(COUNTER + "/* changed */\n")
    assert plugin.compiled(counter) != library

    image = build([HELLO])
    counts = []
    for name in ("first,run", "second"):
        options = Options(icount=True, extra=plugin.arguments(library, out=tmp_path / name))
        with Machine(image.path, options) as machine:
            machine.wait()
            counts.append(int((tmp_path / name).read_text()))
            assert machine.complaints == []
    with Machine(image.path, replace(options, extra=())) as plain:
        plain.wait()
    # The machine is the same with a plugin, and what the plugin counts is repeatable.
    assert counts[0] == counts[1] > 100_000
    assert plain.control == machine.control


def test_a_plugin_that_does_not_compile(counter: Path) -> None:
    counter.write_text("int qemu_plugin_version = undeclared;\n")
    with pytest.raises(Failure, match="undeclared"):
        plugin.compiled(counter)
    assert list(counter.parent.glob("a,cache/plugin/*")) == []


def test_without_gcc_there_is_a_hint(counter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Failure) as failure:
        plugin.compiled(counter)
    assert "apt-get install gcc" in failure.value.hint
