"""The environment that the launcher of the frozen supervisor changed is given back as the image had it."""

from __future__ import annotations

from faas_supervisor.frozen import saved_environment


def test_the_images_loader_variables_are_given_back():
    ours = {"PATH": "/bin", "_SUP_SAVED_LD_PRELOAD": "x.so", "_SUP_SAVED_LD_LIBRARY_PATH": ""}
    assert saved_environment(ours) == {"PATH": "/bin", "LD_PRELOAD": "x.so", "LD_LIBRARY_PATH": ""}


def test_nothing_of_the_launcher_and_of_pyinstaller_stays():
    ours = {"_SUP_NAME": "supervisor", "_PYI_ARCHIVE_FILE": "x", "_PYI_PARENT_PROCESS_LEVEL": "-1", "_MEIPASS2": "y"}
    assert saved_environment(ours) == {}


def test_other_variables_stay_as_they_are():
    image = {"A": "", "_": "/bin/sh", "B\udcff": "\udcfe", "SUP_X": "1", "PYI": "2"}
    assert saved_environment(image) == image
