"""Runs a program in another root, in a mount namespace of its own: what a container runtime does, and less.

    unshare --mount python3 -I -S enter.py < JSON

A runtime always mounts /proc and has many more conditions; here nothing is there that was not asked for.
"""

import json
import os
import subprocess
import sys

asked = json.load(sys.stdin)
root = asked["root"]


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


mount("--make-rprivate", "/")
mount("--bind", root, root)
for source, destination, options in asked["mounts"]:
    if source is None:
        mount("-t", "tmpfs", "-o", options, "none", root + destination)
    else:
        mount("--bind", source, root + destination)
        mount("-o", f"remount,bind,{options}", root + destination)
null = f"{root}/dev/null"  # the one device that no program can do without
if not os.access(null, os.F_OK):
    os.mknod(null)
mount("--bind", "/dev/null", null)
if asked["readonly"]:
    mount("-o", "remount,bind,ro", root)
os.chroot(root)
os.chdir("/")
os.setgroups([])
os.setgid(asked["user"])
os.setuid(asked["user"])
stdin, end = os.pipe()  # only the Job's own `echo` gives anybody an event
os.close(end)
os.dup2(stdin, 0)
os.execve(asked["argv"][0], asked["argv"], asked["environment"])
