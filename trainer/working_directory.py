"""Where Python looks for modules: libraries never in the working directory, the user's own modules there last.

Imports nothing that is not loaded when Python starts: an import would look in the working directory first.
"""

import os
import sys

OWN_CODE_VARIABLE = "SWEEPS_OWN_CODE"  # folders of the driver in which workers look for the user's own modules


def ignore_working_directory() -> None:
    """Keeps Python from looking for libraries in the working directory.

    A file of the user's that is called as a library is, `mlflow.py` say, is not run in the place of the library. The
    modules that a sweep file names are looked for there all the same.
    """
    here = os.path.realpath(os.getcwd())  # noqa: PTH109  # pathlib may be a file of the user's
    sys.path[:] = [folder for folder in sys.path if os.path.realpath(folder) != here]


def look_for_own_code() -> None:
    """Has Python look for modules in the user's folders, where they are found nowhere else."""
    named = os.environ.get(OWN_CODE_VARIABLE, "").split(os.pathsep)
    for folder in [*named, os.getcwd()]:  # noqa: PTH109
        if folder and folder not in sys.path:
            sys.path.append(folder)
