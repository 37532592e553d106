"""Names operations in the OpenAPI schema, from which generated clients name their functions."""

import re
from typing import Any

ACTION = re.compile(r"\{id\}/[a-z-]+/$")  # the end of the path of an action or of a part of a row
SUFFIXES = re.compile(r"_(?:create|retrieve)$")


def name_operations(result: dict[str, Any], **_options: Any) -> dict[str, Any]:
    """Name the operations on a part of a row by that part alone (a postprocessing hook of drf-spectacular).

    For example, `conversations_mark_read_create` becomes `conversations_mark_read`.
    """
    for path, operations in result["paths"].items():
        for operation in operations.values() if ACTION.search(path) else ():
            operation["operationId"] = SUFFIXES.sub("", operation["operationId"])
    return result
