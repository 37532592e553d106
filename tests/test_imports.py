"""No module imports itself through others, counting imports inside functions and under TYPE_CHECKING."""

from graphlib import CycleError, TopologicalSorter

import grimp

PACKAGES = ("whatsai", "conversations", "cachelayer", "logs")

# Imports that Django forces and that close a circle: (importer, imported) and why. There are none.
FORCED_BY_DJANGO: dict[tuple[str, str], str] = {}


def test_no_import_circle() -> None:
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    imports = {
        module: {
            imported
            for imported in graph.find_modules_directly_imported_by(module)
            if (module, imported) not in FORCED_BY_DJANGO
        }
        for module in graph.modules
    }
    circle: list[str] = []
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle = error.args[1]
    assert not circle, " → ".join(reversed(circle))
