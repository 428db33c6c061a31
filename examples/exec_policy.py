#!/usr/bin/env python3
"""A policy in Python: autoscale run --policy 'exec:command=python3 examples/exec_policy.py'"""
import json
import sys

for line in sys.stdin:  # one question a turn; ends when autoscale does
    q = json.loads(line)
    cpu, now = q["cpu_percent"], q["desired"]
    want, why = now, "CPU is between the lines"
    if cpu is None:
        why = "CPU was not measured"
    elif cpu > 60 or cpu < 25:
        want, why = round(now * cpu / 45 + 0.5), f"CPU {cpu:.0f} % against 45 %"
    print(json.dumps({"replicas": max(want, 1), "reason": why}), flush=True)
