//! Programs that decide: `exec` policies' processes, asked each turn and never waited for.
//!
//! A program that ends, or does not answer in time, is started anew after a pause that doubles;
//! its last words go into the reason of the decisions that had to do without it. It runs on a
//! [`Leash`], which ends it when we end, however that happens.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use clock::Clock;
use control::policy::exec::{Answer, Answers, Program, Question};
use control::{ControllerConfig, Observation, SlowInputs};
use live::Slow;
use parking_lot::Mutex;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::AbortHandle;

use crate::leash::Leash;
use crate::processes::HANDED_OVER;

/// Pause before a program that ended is started again; doubles each time it ends without an answer.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
/// Longest such pause: a program that was mended comes back within half a minute.
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A decision takes a few dozen bytes; what is longer is none.
const LINE_MAX: u64 = 64 << 10;
/// Time in which a program that closed its output says how it ended.
const ENDS_WITHIN: Duration = Duration::from_secs(1);

type Asked = Option<Arc<str>>;

/// All programs of a run.
pub struct Programs {
    clock: Clock,
    leash: Leash,
    answers: Arc<Mutex<Answers>>,
    running: BTreeMap<String, Running>,
}

struct Running {
    questions: watch::Sender<Asked>,
    task: AbortHandle,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Programs {
    /// None yet; they start when they are first shown a turn.
    pub fn new(clock: Clock, leash: Leash) -> Self {
        Self { clock, leash, answers: Arc::default(), running: BTreeMap::new() }
    }

    fn start(&self, program: Program) -> Running {
        let (questions, asked) = watch::channel(None);
        let desk = Desk {
            name: program.name(),
            program,
            clock: self.clock,
            leash: self.leash.clone(),
            asked,
            answers: Arc::clone(&self.answers),
        };
        Running { questions, task: tokio::spawn(desk.serve()).abort_handle() }
    }
}

impl Slow for Programs {
    fn latest(&mut self) -> SlowInputs {
        SlowInputs { exec: self.answers.lock().clone(), ..SlowInputs::default() }
    }

    fn show(&mut self, seen: &Observation, config: &ControllerConfig, programs: Vec<Program>) {
        let wanted: Vec<String> = programs.iter().map(Program::name).collect();
        self.running.retain(|name, _| wanted.contains(name));
        self.answers.lock().retain(|name, _| wanted.contains(name));
        if programs.is_empty() {
            return;
        }
        let question = Question::of(seen, config.min, config.max);
        let Ok(mut line) = serde_json::to_string(&question) else { return };
        line.push('\n');
        let line: Arc<str> = line.into();
        for program in programs {
            let name = program.name();
            if !self.running.contains_key(&name) {
                let running = self.start(program);
                self.running.insert(name.clone(), running);
            }
            if let Some(running) = self.running.get(&name) {
                running.questions.send_replace(Some(Arc::clone(&line)));
            }
        }
    }
}

/// Where one program is asked.
struct Desk {
    name: String,
    program: Program,
    clock: Clock,
    leash: Leash,
    asked: watch::Receiver<Asked>,
    answers: Arc<Mutex<Answers>>,
}

impl Desk {
    async fn serve(mut self) {
        let mut pause = PAUSE_FIRST;
        loop {
            let (answered, because) = match spawn(&self.program, &self.leash) {
                Ok(talk) => self.talk(talk).await,
                Err(error) => (false, format!("{}: {error}", self.name)),
            };
            self.put(Answer::none(self.clock.now(), &because));
            pause = if answered { PAUSE_FIRST } else { (pause * 2).min(PAUSE_MAX) };
            self.clock.sleep(pause).await;
        }
    }

    fn put(&self, answer: Answer) {
        self.answers.lock().insert(self.name.clone(), answer);
    }

    /// Asks until the program fails; whether it ever answered, and how it failed.
    async fn talk(&mut self, mut talk: Talk) -> (bool, String) {
        let mut answered = false;
        loop {
            let changed = tokio::select! {
                changed = self.asked.changed() => changed,
                _ = talk.child.wait() => return (answered, talk.ended(self.clock).await),
            };
            if changed.is_err() {
                return (answered, "nobody asks any more".to_owned());
            }
            let Some(question) = self.asked.borrow_and_update().clone() else { continue };
            match self.clock.timeout(self.program.timeout, talk.ask(&question)).await {
                Ok(Some(line)) => {
                    answered = true;
                    self.put(Answer::read(self.clock.now(), &line));
                }
                Ok(None) => return (answered, talk.ended(self.clock).await),
                Err(_) => {
                    let limit = control::span::format(self.program.timeout);
                    return (
                        answered,
                        format!("the program did not answer within {limit}; it is started anew"),
                    );
                }
            }
        }
    }
}

/// A program at work.
struct Talk {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    last_words: Arc<Mutex<String>>,
}

fn spawn(program: &Program, leash: &Leash) -> std::io::Result<Talk> {
    let missing = || std::io::Error::other("it has no such stream");
    let mut command = Command::new(&leash.program);
    for variable in HANDED_OVER {
        command.env_remove(variable);
    }
    let mut child = command
        .args(&leash.arguments)
        .args(&program.command)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C in our terminal is for us; the leash ends the program with its input.
        .process_group(0)
        .spawn()?;
    let input = child.stdin.take().ok_or_else(missing)?;
    let output = BufReader::new(child.stdout.take().ok_or_else(missing)?);
    let errors = BufReader::new(child.stderr.take().ok_or_else(missing)?);
    let last_words = Arc::default();
    tokio::spawn(keep_last(errors, Arc::clone(&last_words)));
    Ok(Talk { child, input, output, last_words })
}

/// Keeps the last line of what a program complains about.
async fn keep_last(mut errors: impl AsyncBufRead + Unpin, last: Arc<Mutex<String>>) {
    while let Some(line) = read_line(&mut errors).await {
        if !line.trim().is_empty() {
            *last.lock() = line.trim().to_owned();
        }
    }
}

/// A line of bounded length without what is no text; `None` at the end.
async fn read_line(from: &mut (impl AsyncBufRead + Unpin)) -> Option<String> {
    let mut line = Vec::new();
    let read = from.take(LINE_MAX).read_until(b'\n', &mut line).await.ok()?;
    (read > 0).then(|| String::from_utf8_lossy(&line).into_owned())
}

impl Talk {
    /// One question; `None` when the program is gone.
    async fn ask(&mut self, question: &str) -> Option<String> {
        self.input.write_all(question.as_bytes()).await.ok()?;
        self.input.flush().await.ok()?;
        read_line(&mut self.output).await
    }

    /// How the program ended, with its last words.
    async fn ended(&mut self, clock: Clock) -> String {
        let status = match clock.timeout(ENDS_WITHIN, self.child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it closed its output".to_owned(),
        };
        let words = self.last_words.lock().clone();
        let words = if words.is_empty() { String::new() } else { format!(": {words}") };
        format!("the program ended ({status}){words}")
    }
}
