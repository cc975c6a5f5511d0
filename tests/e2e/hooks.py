"""What schemathesis is told of the API that no document can say."""

import re

import schemathesis


@schemathesis.hook
def map_query(ctx, query):
    """A wait that is right is cut short: the test would spend its time with it."""
    if query and re.fullmatch(r"([0-5]?[0-9]|60)s", str(query.get("wait"))):
        query["wait"] = "1s"
    return query


@schemathesis.hook
def map_path_parameters(ctx, path_parameters):
    """Every other name of a sync is that of the one that is there: otherwise most questions end with 'no such sync'."""
    name = path_parameters.get("sync") if path_parameters else None
    if isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_.-]{1,64}", name) and len(name) % 2 == 0:
        path_parameters["sync"] = "Contact"
    return path_parameters
