//! Arguments as typed: one struct a command. What they mean together is settled in `config`.

pub(crate) mod balance;
mod balancer;
mod balancer_steer;
mod diagnose;
mod doctor;
mod effect;
mod forecast;
mod learn;
mod overload;
pub(crate) mod parse;
mod policy;
mod run;
mod simulate;
mod steer;
mod tls;
mod transport;
mod tune;
mod verify;

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use balance::{BackendArg, BalanceArgs, backend};
pub(crate) use balancer::{BalancerArgs, DoorArgs, EjectionArgs, HealthArgs, HealthPreset, LogFormatArg};
pub(crate) use balancer_steer::{BalancerCommand, BalancerCommandArgs, RequestArgs, SetArgs};
pub(crate) use diagnose::{Complaint, DiagnoseArgs};
pub(crate) use doctor::{DoctorArgs, DoctorCommand, DoctorSignalArgs};
pub(crate) use effect::heed;
pub(crate) use forecast::{
    EvaluateArgs, ForecastArgs, ForecastCommand, Form, ModelsArgs, ModelsCommand, PredictArgs, PromoteArgs,
    RecipeArgs, ScoreArgs, SeriesArgs, TrainArgs,
};
pub(crate) use learn::{AdviseArgs, GymArgs, TrainRlArgs};
pub(crate) use overload::{OFF, OverloadArgs, hedge_after, hedge_text};
pub(crate) use policy::{CheckArgs, LintArgs, PolicyArgs, PolicyCommand};
pub(crate) use run::RunArgs;
pub(crate) use simulate::{EngineArgs, EngineName, Print, ScenarioArgs, SimulateArgs, ValueKind};
pub(crate) use steer::{BoostArgs, PauseArgs, ProtectArgs};
pub(crate) use tls::{TlsArgs, TlsCommand, TlsInitArgs};
pub(crate) use transport::TransportArgs;
pub(crate) use tune::{PolicyTestArgs, TuneArgs};
pub(crate) use verify::{NoLossArgs, VerifyArgs, VerifyCommand};

/// Learn, test and prove autoscaling on your own machine.
///
/// Runs any web app as worker processes behind its own load balancer, watches CPU and traffic,
/// decides how many workers there should be, and shows why.
#[derive(Debug, Parser)]
#[command(name = "autoscale", version, max_term_width = 100, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "Examples:
  autoscale demo                                  the whole thing in one terminal
  autoscale run                                   the demo app behind http://127.0.0.1:8000
  autoscale run -- python3 -m http.server '$PORT' any app that listens on $PORT
  autoscale load http://127.0.0.1:8000 --rate 200 -d 30s
  autoscale why                                   the last decision, gate by gate";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show it all at work: pool, balancer, scaling and load, 1 → 5 → 1 workers
    Demo(Box<DemoArgs>),
    /// Run an app as a pool that scales itself (default: the demo app)
    Run(Box<RunArgs>),
    /// Balance over servers that run already
    Balance(Box<BalanceArgs>),
    /// Run one demo app process
    Worker(WorkerArgs),
    /// Put load on a URL and report what came back
    Load(Box<LoadArgs>),
    /// Open the dashboard on a running pool
    Top(TopArgs),
    /// Show the state of a running pool
    Status(AskArgs),
    /// List the workers of a running pool
    Ps(AskArgs),
    /// Show or change the balancer of a running pool
    Balancer(BalancerCommandArgs),
    /// List the health of each worker as the balancer sees it, with reasons
    Targets(AskArgs),
    /// Trace a request by its id: worker, attempts, times (needs --access-log)
    Request(RequestArgs),
    /// Hold a number of workers for a while: N, +1, -1 or max
    Scale(ScaleArgs),
    /// Stop scaling, or only scale-in, until resumed
    Pause(PauseArgs),
    /// Demand at least so many workers for a time, ahead of an event
    Boost(BoostArgs),
    /// Let the policy decide again
    Resume(SteerArgs),
    /// Take a worker out gently; another takes its place
    Drain(WorkerIdArgs),
    /// End a worker at once; another takes its place
    Kill(WorkerIdArgs),
    /// Keep a worker from being chosen at a scale-in, or end that
    Protect(ProtectArgs),
    /// Show what a worker printed
    Logs(LogsArgs),
    /// Show what happened to workers and what was decided
    Events(EventsArgs),
    /// Stop a running pool gracefully
    Stop(SteerArgs),
    /// Start this program anew from the disk and hand over to it, without losing a request
    Upgrade(SteerArgs),
    /// Explain a decision: every gate with its number
    Why(WhyArgs),
    /// Explain what it would have taken to decide otherwise
    WhyNot(WhyArgs),
    /// Find out what is wrong with a running pool's measurements
    Doctor(DoctorArgs),
    /// Put a recorded run's observations before the decision code again
    Replay(ReplayArgs),
    /// Prove things about a recorded run: that no request was lost
    Verify(VerifyArgs),
    /// Run policies on recorded load, in virtual time, against the best possible
    Simulate(Box<SimulateArgs>),
    /// Find a policy's settings for recorded load
    Tune(Box<TuneArgs>),
    /// Say what kind of load a trace is, and which policy suits it
    Advise(Box<AdviseArgs>),
    /// Say why a recorded run swings, and which setting ends it
    Diagnose(DiagnoseArgs),
    /// Scaling as a game over stdin and stdout, for agents in any language
    Gym(Box<GymArgs>),
    /// Learn the table of the policy `rl` on a trace
    TrainRl(Box<TrainRlArgs>),
    /// Write a recorded run as one self-contained page
    Report(ReportArgs),
    /// Models of load: score, predict, train, keep
    Forecast(Box<ForecastArgs>),
    /// Observations in, decisions out: the pure core, one JSON object a line
    Decide(DecideArgs),
    /// Which policies there are, and what is in force
    Policy(PolicyArgs),
    /// Certificates for development
    Tls(TlsArgs),
    /// Print a completion script for a shell
    Completions {
        /// The shell to write for
        shell: clap_complete::Shell,
    },
    /// Parent of all workers; started by `run`, never by hand
    #[command(hide = true)]
    Guardian,
    /// Keeps a program that decides from outliving us; started by `run`, never by hand
    #[command(hide = true)]
    Leash {
        /// The program and its arguments
        #[arg(last = true)]
        words: Vec<String>,
    },
}

/// Arguments of `demo`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale demo
  autoscale demo --policy hpa --shadow threshold,kpa
  autoscale demo --policy predictive    three waves: each is a day, and is met earlier than the first")]
pub(crate) struct DemoArgs {
    /// A shorter script, for tests and the impatient
    #[arg(long)]
    pub(crate) quick: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

/// Arguments of `worker`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale worker --port 5001 --cpus 0.25
  curl 'http://127.0.0.1:5001/?cpu_ms=50'")]
pub(crate) struct WorkerArgs {
    /// Port to listen on (0: any free one, printed)
    #[arg(long, env = "PORT", default_value_t = 5000)]
    pub(crate) port: u16,
    /// Address to listen on
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub(crate) host: std::net::IpAddr,
    /// Size: the share of a core that its work may take (0.25 = a small machine)
    #[arg(long, env = "AUTOSCALE_WORKER_CPUS")]
    pub(crate) cpus: Option<f64>,
    /// CPU time of one request to /, in milliseconds
    #[arg(long, default_value_t = 5.0)]
    pub(crate) cpu_ms: f64,
    /// Answer 503 on /readyz for this long first, as an app that warms up would
    #[arg(long, default_value = "0s", value_parser = control::span::parse)]
    pub(crate) start_up: Duration,
}

/// How to reach a running pool.
#[derive(Clone, Debug, Args)]
pub(crate) struct SteerArgs {
    /// Admin address of the running pool
    #[arg(long, env = "AUTOSCALE_ADMIN", default_value = "http://127.0.0.1:9900", value_name = "URL")]
    pub(crate) admin: String,
    /// Token, if the pool wants one
    #[arg(long, env = "AUTOSCALE_ADMIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    pub(crate) admin_token: Option<String>,
}

/// How to print what is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    #[default]
    Table,
    Json,
    Yaml,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct AskArgs {
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale top                    the pool that runs here
  autoscale top run.db             a run file: of a live run, or of `simulate --record`
  autoscale top run.db --warp 60x  an hour in a minute")]
pub(crate) struct TopArgs {
    /// A run file to play instead
    #[arg(value_name = "RUNFILE")]
    pub(crate) run: Option<PathBuf>,
    /// Recorded seconds in a second [default: all of it in a minute, but no slower than it was]
    #[arg(long, value_parser = parse::times, value_name = "TIMES", requires = "run")]
    pub(crate) warp: Option<f64>,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
    /// Print one frame as text and leave
    #[arg(long)]
    pub(crate) once: bool,
    /// Lines on stdout instead of a screen
    #[arg(long)]
    pub(crate) plain: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScaleArgs {
    /// N, +1, -1 or max
    #[arg(allow_hyphen_values = true, value_name = "N|+N|-N|max")]
    pub(crate) replicas: String,
    /// How long to hold it before the policy decides again
    #[arg(long, default_value = "60s", value_parser = control::span::parse)]
    pub(crate) hold: Duration,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct WorkerIdArgs {
    /// Worker, as in w1 (see `autoscale ps`)
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct LogsArgs {
    /// Worker, as in w1 (see `autoscale ps`)
    pub(crate) id: String,
    /// Go on with new lines as they come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the latest lines
    #[arg(short = 'n', long, default_value_t = 100)]
    pub(crate) last: usize,
    #[command(flatten)]
    pub(crate) pool: SteerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct EventsArgs {
    /// Go on with new events as they come
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// How many of the latest events
    #[arg(short = 'n', long, default_value_t = 50)]
    pub(crate) last: usize,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale why                       the last decision
  autoscale why --last 5              the last five
  autoscale why --at 12:03:15         the decision nearest to that time")]
pub(crate) struct WhyArgs {
    /// The decision nearest to this time (12:03:15, or 2026-01-31T12:03:15Z)
    #[arg(long, value_name = "TIME")]
    pub(crate) at: Option<String>,
    /// How many of the latest decisions
    #[arg(short = 'n', long, default_value_t = NonZeroUsize::MIN)]
    pub(crate) last: NonZeroUsize,
    /// Read a run file instead of asking a running pool
    #[arg(long, value_name = "FILE")]
    pub(crate) run: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) ask: AskArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale run --record run.db
  autoscale replay run.db --verify
  autoscale replay run.db --policy hpa,threshold:up=60    what others would have done
  autoscale replay run.db --policy hpa --record other.db  and its run file
  autoscale replay run.db --watch --warp 60x              on the dashboard, as `top run.db`")]
pub(crate) struct ReplayArgs {
    /// The run file
    pub(crate) run: PathBuf,
    /// Run the recorded load in virtual time through these policies instead, several with commas
    #[arg(long, visible_alias = "policies", value_name = "A,B,…", conflicts_with = "verify")]
    pub(crate) policy: Option<String>,
    /// Write what the policy would have done as a run file
    #[arg(long, value_name = "FILE", requires = "policy")]
    pub(crate) record: Option<PathBuf>,
    /// Watch the recorded run on the dashboard instead; with --record, what the policy would have done
    #[arg(long, conflicts_with = "verify")]
    pub(crate) watch: bool,
    /// Recorded seconds in a second of watching, as in 60x [default: all of it in a minute]
    #[arg(long, value_parser = parse::times, value_name = "TIMES", requires = "watch")]
    pub(crate) warp: Option<f64>,
    /// Compare each decision with the recorded one; exit 1 if any differs
    #[arg(long)]
    pub(crate) verify: bool,
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
}

/// Arguments of `report`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale run --record run.db
  autoscale report run.db --html run.html")]
pub(crate) struct ReportArgs {
    /// The run file
    pub(crate) run: PathBuf,
    /// Where to write the page [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale decide --policy hpa:target=80 < observations.jsonl
  autoscale decide --policy hpa.yaml --max 10 < observations.jsonl")]
pub(crate) struct DecideArgs {
    /// A policy with settings, a preset, or a file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) policy: String,
    /// Policies that only watch, each on a virtual pool of its own
    #[arg(long, value_name = "NAME,NAME:KEY=VALUE,FILE,…")]
    pub(crate) shadow: Vec<String>,
    /// Fewest replicas, in place of the file's
    #[arg(long)]
    pub(crate) min: Option<u32>,
    /// Most replicas, in place of the file's
    #[arg(long)]
    pub(crate) max: Option<u32>,
}

/// Arguments of `load`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  autoscale load http://127.0.0.1:8000 --threads 20 -d 30s        20 clients, as fast as answers come
  autoscale load http://127.0.0.1:8000 --rate 200 -d 30s          200 requests a second, whatever happens
  autoscale load http://127.0.0.1:8000 --stages 10s:50,20s:400,10s:50
  autoscale load http://127.0.0.1:8000 --rate 100 -d 10s --fail-if 'p99>200ms' --fail-if 'failed>0'")]
pub(crate) struct LoadArgs {
    /// Where to (http://… or https://…)
    #[arg(value_name = "URL", required_unless_present = "url")]
    pub(crate) target: Option<String>,
    /// Where to, the other way to say it
    #[arg(long, conflicts_with = "target")]
    pub(crate) url: Option<String>,
    /// Clients; in a closed loop (no --rate) each sends as soon as it has its answer
    /// [default: 20; open loop: as many as are needed]
    #[arg(short = 'c', long, visible_alias = "connections")]
    pub(crate) threads: Option<u32>,
    /// Open loop: requests a second, as in 200 or 50/s
    #[arg(short = 'q', long, short_alias = 'R')]
    pub(crate) rate: Option<String>,
    /// How long
    #[arg(short = 'd', long, short_alias = 'z', value_parser = parse::span_or_seconds)]
    pub(crate) duration: Option<Duration>,
    /// How many requests in all
    #[arg(short = 'n', long)]
    pub(crate) requests: Option<u64>,
    /// Open loop in stages: TIME:RATE, each a ramp from the last rate to this one
    #[arg(long, value_name = "TIME:RATE,…")]
    pub(crate) stages: Option<String>,
    /// Shape of the load over --duration around --rate
    #[arg(long, value_name = "constant|ramp|sine|step|burst")]
    pub(crate) pattern: Option<String>,
    /// Open loop after a trace: a CSV of time_s,value
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Random (Poisson) instead of even arrivals, from this seed
    #[arg(long, value_name = "SEED")]
    pub(crate) poisson: Option<u64>,
    /// Give up on a request after this time
    #[arg(long, default_value = "10s", value_parser = control::span::parse)]
    pub(crate) timeout: Duration,
    /// https: believe certificates that those in this PEM file vouch for (see `autoscale tls init`)
    #[arg(long, value_name = "FILE", conflicts_with = "insecure")]
    pub(crate) cacert: Option<PathBuf>,
    /// https: believe any certificate, as is done anyway on this machine
    #[arg(long)]
    pub(crate) insecure: bool,
    /// Method to use
    #[arg(short = 'm', long, default_value = "GET")]
    pub(crate) method: String,
    /// Exit 99 if this holds at the end, as in p99>200ms or failed>1%; may be repeated
    #[arg(long, value_name = "CONDITION")]
    pub(crate) fail_if: Vec<String>,
    /// How to print the report
    #[arg(short, long, value_enum, default_value_t)]
    pub(crate) output: Output,
    /// JSON, the other way to say it
    #[arg(short, long)]
    pub(crate) json: bool,
    /// No progress on stderr
    #[arg(long, visible_alias = "no-tui")]
    pub(crate) quiet: bool,
}
