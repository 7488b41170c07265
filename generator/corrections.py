"""Where Asterisk does something else than its description says, each with its reason."""

from typing import Final

#: By resource and operation: the versions since when Asterisk has it.
SINCE: Final = {
    # Its description says 20.17, 22.7 and 23.1; the change logs, and its source, say these.
    ("events", "claimChannel"): ("20.20.0", "22.10.0", "23.4.0"),
}

#: By resource, operation and parameter: since when Asterisk reads it; older
#: ones ignore it silently.
PARAMETER_SINCE: Final = {
    # Came with the variables of bridges; the description has no versions of parameters.
    ("channels", "setChannelVar", "report_events"): ("20.20.0", "22.10.0", "23.4.0"),
    ("bridges", "create", "variables"): ("20.20.0", "22.10.0", "23.4.0"),
}

#: By resource, operation and parameter: the least value; Asterisk refuses lower ones (seen on
#: 22.10.1), though its description has no range.
MINIMUM: Final = {
    ("channels", nickname, name): 0
    for nickname in ("play", "playWithId")
    for name in ("offsetms", "skipms")
}

#: By model: required fields that Asterisk leaves out.
NOT_ALWAYS_SENT: Final = {
    # Answers carry neither the time nor, without an application of their own, its name.
    "RESTResponse": frozenset({"application", "timestamp"}),
}

#: Operations whose other form names the new object in the path: the form that we use takes the name
#: as a parameter, so one method does for both.
TWIN_ENDING: Final = "WithId"

#: By resource and operation: names that say more than Asterisk's.
METHOD_NAMES: Final = {
    ("asterisk", "getGlobalVar"): "get_variable",
    ("asterisk", "setGlobalVar"): "set_variable",
    ("bridges", "getBridgeVar"): "get_variable",
    ("bridges", "setBridgeVar"): "set_variable",
    ("bridges", "getBridgeVars"): "get_variables",
    ("bridges", "setBridgeVars"): "set_variables",
    ("channels", "getChannelVar"): "get_variable",
    ("channels", "setChannelVar"): "set_variable",
    ("channels", "getChannelVars"): "get_variables",
    ("channels", "setChannelVars"): "set_variables",
    ("channels", "rtpstatistics"): "rtp_statistics",
    ("channels", "snoopChannel"): "snoop",
    ("events", "claimChannel"): "claim",
}

PARAMETER_NAMES: Final = {
    "from": "from_",
    "offsetms": "offset_ms",
    "skipms": "skip_ms",
}

#: By resource and operation: the value of its one field in the body is the whole body.
WHOLE_BODIES: Final = frozenset(
    {
        # By the description it has `variables` in its body, which 22.10.1 takes for the name of a
        # variable: 400 (seen there).
        ("bridges", "create"),
        # An object, by the description.
        ("applications", "filter"),
    }
)

#: Types of JSON bodies, by resource and operation; others are names and texts.
BODIES: Final = {
    ("applications", "filter"): "Mapping[str, object]",
    ("asterisk", "updateObject"): "Sequence[ConfigTuple]",
    ("bridges", "create"): "Mapping[str, VariableValue]",
    ("bridges", "setBridgeVars"): "Mapping[str, VariableValue]",
    ("channels", "originate"): "Mapping[str, VariableValue]",
    ("channels", "create"): "Mapping[str, VariableValue]",
    ("channels", "externalMedia"): "Mapping[str, VariableValue]",
    ("channels", "setChannelVars"): "Mapping[str, VariableValue]",
    ("events", "userEvent"): "Mapping[str, object]",
}
