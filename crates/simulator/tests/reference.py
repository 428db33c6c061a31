"""An independent calculation of what the simulator says, on the traces beside it.

Standard library only. It follows the written rules, not the Rust code: one-second ticks, the
textbook recursion for the optimum, the products' rules as documented. Prints CSV:

    python3 reference.py > reference.csv

Another folder with the same files, whole, may be named as an argument; that takes minutes.
"""

import csv
import math
import os
import sys

STEP = 15            # seconds between decisions
PEAK = 20            # workers at the 99.9th percentile
SAFE = 0.85          # SLO-safe utilisation
KAPPA = 10
PATIENCE = 10        # seconds
HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "traces")
TRACES = [
    ("cpu_ec2_ac20cd_300s", 300),
    ("llm_azure_conversation_1s", 1),
    ("llm_client_batch_600s", 600),
    ("web_elb_requests_300s", 300),
    ("web_worldcup98_match_1s", 1),
]


def load(name, bucket):
    """One value a second, in workers at SLO-safe utilisation; None in a gap."""
    rows = {}
    with open(os.path.join(FOLDER, name + ".csv")) as lines:
        for row in csv.DictReader(lines):
            rows[int(float(row["time_s"])) // bucket] = float(row["value"])
    ordered = sorted(rows.values())
    place = 0.999 * (len(ordered) - 1)
    low = int(place)
    peak = ordered[low] + (ordered[min(low + 1, len(ordered) - 1)] - ordered[low]) * (place - low)
    seconds = []
    for at in range(max(rows) + 1):
        value = rows.get(at)
        seconds += [None if value is None else value * PEAK / peak] * bucket
    return seconds


def within(ratio):
    """The tolerance of 0.1, both ends included."""
    return 0.9 <= ratio <= 1.1


def needed(workers):
    return max(1, math.ceil(workers - 1e-9))


class Hpa:
    """autoscaling/v2 with its defaults, target 70 %."""

    def __init__(self, replicas):
        self.said = [(0, replicas)]

    def decide(self, now, current, cpus, pending):
        # cpus: whole pods; None where a ready pod was not measured yet.
        measured = [cpu for cpu, age in cpus if cpu is not None and (age is None or age >= STEP)]
        unready = pending + sum(1 for cpu, age in cpus if cpu is not None and age is not None and age < STEP)
        missing = sum(1 for cpu, _ in cpus if cpu is None)
        if not measured:
            return current  # a metric that cannot be had ends the turn: nothing is recommended
        asked = current
        ratio = math.floor(sum(measured) / len(measured) + 1e-9) / 70
        if (unready and ratio > 1) or missing:
            used, pods = sum(measured), len(measured)
            if ratio < 1:
                used, pods = used + 100 * missing, pods + missing
            elif ratio > 1:
                pods += missing
            if unready and ratio > 1:
                pods += unready
            again = math.floor(used / pods + 1e-9) / 70
            new = math.ceil(again * pods - 1e-9)
            turned = (ratio < 1 < again) or (again < 1 < ratio)
            turned = turned or (again < 1 and new > current) or (again > 1 and new < current)
            if not within(again) and not turned:
                asked = new
        elif not within(ratio):
            asked = math.ceil(ratio * len(measured) - 1e-9)
        self.said = [(at, n) for at, n in self.said if at > now - 300]
        best = max([asked] + [n for _, n in self.said])
        self.said.append((now, asked))
        if best > current:
            best = min(best, max(current + 4, 2 * current))
        return max(1, best)


class Alarms:
    """One more above, one fewer below; the mean over a period, for so many periods in a row."""

    def __init__(self, up, down, period, periods, cooldown):
        self.up, self.down, self.period, self.periods, self.cooldown = up, down, period, periods, cooldown
        self.samples, self.points, self.ends = [], [], None
        self.out, self.changed = -math.inf, -math.inf

    def decide(self, now, current, cpus, pending):
        self.samples += [cpu for cpu, age in cpus if cpu is not None and (age is None or age >= 2)]
        if self.ends is None:
            self.ends = now + self.period
        if self.period and now < self.ends:
            return current
        self.ends = now + self.period
        self.points.append(sum(self.samples) / len(self.samples) if self.samples else None)
        self.samples = []
        self.points = self.points[-(self.periods + 2):]
        real = [point for point in self.points if point is not None][-self.periods:]
        if len(real) < self.periods:
            return current
        if all(point > self.up for point in real) and now >= self.out + self.cooldown:
            self.out = self.changed = now
            return current + 1
        if all(point < self.down for point in real) and now >= self.changed + self.cooldown and current > 1:
            self.changed = now
            return current - 1
        return current


class Books:
    """Sums over scored seconds."""

    def __init__(self):
        self.seconds = self.load = self.billed = self.late = 0.0
        self.under = self.over = self.under_s = self.over_s = 0.0

    def enter(self, x, ready, existing):
        self.seconds += 1
        self.load += x
        self.billed += existing
        self.late += max(0.0, x - ready)
        d = needed(x)
        self.under += max(0, d - ready) / d
        self.over += max(0, ready - d) / d
        self.under_s += d > ready
        self.over_s += d < ready

    def row(self, extra_billed=0.0):
        cost = self.billed + extra_billed + KAPPA * self.late
        share = 100 / self.seconds
        return [cost, self.late / self.load, self.under * share, self.over * share,
                self.under_s * share, self.over_s * share]


def warm_up(seconds):
    return int(min(0.3 * len(seconds), 86400)) // STEP * STEP


def follow(seconds, start_up, policy_of):
    """A policy, second by second."""
    first = needed(next(x for x in seconds if x is not None))
    policy = policy_of(first)
    ready_at = [-10 ** 9] * first      # one entry a worker, oldest first
    backlog = 0.0
    books = Books()
    begin = warm_up(seconds)
    busy, present = [], 0              # of the present window: per second, None in a gap
    for now, x in enumerate(seconds):
        if now % STEP == 0 and now > 0:
            seen = [b for b in busy if b is not None]
            cpus = []
            for at in ready_at:
                if at > now:
                    continue
                age = None if at <= now - STEP else now - at
                own = busy if age is None else busy[len(busy) - age:] if age else []
                own = [b for b in own if b is not None]
                cpus.append((100 * sum(own) / len(own) if own and seen else None, age))
            pending = sum(1 for at in ready_at if at > now)
            desired = policy.decide(now, len(ready_at), cpus, pending)
            ready_at += [now + start_up] * (desired - len(ready_at))
            for _ in range(len(ready_at) - desired):
                starting = [i for i, at in enumerate(ready_at) if at > now]
                ready_at.pop(starting[-1] if starting else -1)
            busy = []
        ready = sum(1 for at in ready_at if at <= now)
        if x is None:
            busy.append(None)
            backlog = max(0.0, backlog - ready / SAFE)
            continue
        capacity = ready / SAFE
        backlog = min(backlog, capacity * PATIENCE)
        after = backlog + x - capacity
        if backlog <= 0 and after <= 0:
            busy.append(x / capacity)
        elif after >= 0:
            busy.append(1.0)
        else:
            waited = backlog / (capacity - x)
            busy.append(waited + (1 - waited) * x / capacity)
        backlog = min(max(0.0, after), capacity * PATIENCE)
        if now >= begin:
            books.enter(x, ready, len(ready_at))
    return books.row()


def constant(seconds):
    """The cheapest constant number."""
    best = None
    for workers in range(1, needed(max(x for x in seconds if x is not None)) + 1):
        books = Books()
        for x in seconds[warm_up(seconds):]:
            if x is not None:
                books.enter(x, workers, workers)
        row = books.row()
        if best is None or row[0] < best[0]:
            best = row
    return best


def optimum(seconds, start_up):
    """V_k(n) = Δ·n + κ·B_k(n) + min_m [V_{k-1}(m) + d·max(0, n - m)], V_0 free."""
    most = needed(max(x for x in seconds if x is not None))
    value = [0.0] * (most + 1)
    for begin in range(warm_up(seconds), len(seconds), STEP):
        here = [x for x in seconds[begin:begin + STEP] if x is not None]
        if not here:
            continue
        kinds = {}
        for x in here:
            kinds[x] = kinds.get(x, 0) + 1
        up = [math.inf] * (most + 1)
        for n in range(1, most + 1):
            up[n] = min(up[n - 1] + start_up, value[n])
        down = math.inf
        for n in range(most, 0, -1):
            down = min(down, value[n])
            lost = sum(times * (x - n) for x, times in kinds.items() if x > n)
            up[n] = min(up[n], down) + len(here) * n + KAPPA * lost
        value = up
    return min(value[1:])


def main():
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["trace", "start_up_s", "policy", "cost", "optimal_cost", "late_request_share",
                  "theta_under", "theta_over", "tau_under", "tau_over"])
    policies = [
        ("hpa", Hpa),
        ("35/15", lambda _: Alarms(35, 15, 0, 1, 0)),
        ("80/20", lambda _: Alarms(80, 20, 300, 2, 300)),
    ]
    for name, bucket in TRACES:
        seconds = load(name, bucket)
        best = constant(seconds)
        for start_up in (2, 30, 120):
            least = optimum(seconds, start_up)
            rows = [("optimal", [least])] + [("best_static", best)]
            rows += [(policy, follow(seconds, start_up, make)) for policy, make in policies]
            for policy, row in rows:
                numbers = [row[0], least] + row[1:]
                out.writerow([name, start_up, policy] + ["%.6g" % number for number in numbers])
            sys.stdout.flush()


main()
