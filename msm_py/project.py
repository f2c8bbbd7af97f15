"""Where the project lies: the folder that holds dbt_project.yml, seeds and models."""

from __future__ import annotations

import os
from pathlib import Path

from msm_py.errors import MsmError

ENVIRONMENT_VARIABLE = "MSM_PROJECT_DIR"


def project_dir() -> Path:
    """Return the root of the repository.

    It is the folder above the package (``msm_py`` is installed editable), unless the environment
    variable ``MSM_PROJECT_DIR`` names another one.

    Returns
    -------
    pathlib.Path
        An absolute path of a folder that holds ``dbt_project.yml``.

    Raises
    ------
    MsmError
        The folder holds no ``dbt_project.yml``.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    folder = (Path(named).expanduser() if named else Path(__file__).parents[1]).resolve()
    if not (folder / "dbt_project.yml").is_file():
        raise MsmError(
            "the MSM project folder holds no dbt_project.yml",
            where=ENVIRONMENT_VARIABLE if named else "the folder above the package msm_py",
            received=str(folder),
            remedy=f"install with `pip install -e .` from a clone of the repository, "
            f"or set {ENVIRONMENT_VARIABLE} to the clone",
        )
    return folder
