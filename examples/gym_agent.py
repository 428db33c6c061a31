#!/usr/bin/env python3
"""An agent for `autoscale gym`, standard library only: proportional, with a little patience.

python3 examples/gym_agent.py --trace requests.csv [any option of `autoscale gym`]
"""
import json
import math
import os
import shutil
import subprocess
import sys

TARGET_PERCENT = 72.0
CALM_TURNS = 12  # turns of lower load before a worker is given up


def main():
    program = os.environ.get("AUTOSCALE", "autoscale")
    if shutil.which(program) is None:
        sys.exit(f"{program} is not found: put it into PATH, or its path into AUTOSCALE")
    command = [program, "gym", *sys.argv[1:]]
    game = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    calm, reward = 0, 0.0
    for line in game.stdout:
        turn = json.loads(line)
        reward += turn["reward"]
        if turn.get("done"):
            print(json.dumps(turn["score"], indent=2))
            break
        wanted = turn["desired"]
        if turn["cpu_percent"] is not None:
            wanted = max(1, math.ceil(turn["ready"] * turn["cpu_percent"] / TARGET_PERCENT))
        if turn["queued"]:
            wanted += 1
        calm = calm + 1 if wanted < turn["desired"] else 0
        if wanted < turn["desired"] and calm < CALM_TURNS:
            wanted = turn["desired"]
        game.stdin.write(json.dumps({"replicas": wanted}) + "\n")
        game.stdin.flush()
    print(f"reward {reward:.0f}", file=sys.stderr)
    return game.wait()


if __name__ == "__main__":
    sys.exit(main())
