"""A plan's signature as a toolkit-neutral description of a form.

`create_plan_spec` reads a plan's signature and docstring, `resolve_arguments` and
`collect_arguments` turn what was filled in into arguments, `plan_schema` gives JSON schema for
clients that are no Python, and `find_plans` looks through modules and folders. `find_devices` and
`connect_devices` get the devices that a plan may be given.
"""

from freewheel.forms._arguments import (
    check_value,
    collect_arguments,
    find_device,
    resolve_arguments,
)
from freewheel.forms._build import create_plan_spec, device_choices, is_plan_function
from freewheel.forms._call_values import values_of_call
from freewheel.forms._catalogue import PlanEntry, check_source, find_plans, import_file
from freewheel.forms._connect import connect_again, connect_devices
from freewheel.forms._device_files import (
    DeviceSourceError,
    find_devices,
    load_module,
    public_devices,
)
from freewheel.forms._errors import InvalidArgumentsError, UnresolvableAnnotationError
from freewheel.forms._rows import Rows
from freewheel.forms._schema import plan_schema
from freewheel.forms._spec import Bounds, FieldType, ParamDescription, ParamKind, PlanSpec
from freewheel.forms._suggest import repeated_devices, suggest_devices

__all__ = [
    "Bounds",
    "DeviceSourceError",
    "FieldType",
    "InvalidArgumentsError",
    "ParamDescription",
    "ParamKind",
    "PlanEntry",
    "PlanSpec",
    "Rows",
    "UnresolvableAnnotationError",
    "check_source",
    "check_value",
    "collect_arguments",
    "connect_again",
    "connect_devices",
    "create_plan_spec",
    "device_choices",
    "find_device",
    "find_devices",
    "find_plans",
    "import_file",
    "is_plan_function",
    "load_module",
    "plan_schema",
    "public_devices",
    "repeated_devices",
    "resolve_arguments",
    "suggest_devices",
    "values_of_call",
]
