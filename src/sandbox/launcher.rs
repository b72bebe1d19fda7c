//! The parent's side: starts a child, hands over descriptors and task, takes its messages, and
//! sees to it that it is gone afterwards.

use std::fs::File;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, Signal, kill_process_group};

use super::protocol::{Message, Reply, take, write_task};
use super::{Options, PROGRAM, child};
use crate::error::{Error, ErrorKind, Result};
use crate::media::{
    AudioTask, ConfigureTask, Configured, Damage, EncodedSample, IndexTask, LoudnessPart,
    MeasureTask, OrderTask, Ranks, ScanCount, ScanTask, SourceIndex, Task, TaskSummary, VideoTask,
};

/// How much of a child's stderr is kept.
const LAST_WORDS: usize = 64 << 10;
/// What the spool may take beyond twice the source's size.
const SPOOL_SLACK: u64 = 64 << 20;
/// The largest poster taken: a JPEG of 1280 pixels' width is far smaller.
const MAX_POSTER: usize = 16 << 20;
/// How long a child that has closed its pipe may take to end.
const GRACE: Duration = Duration::from_secs(2);
/// How often a waiting parent looks whether it should stop.
const GLANCE: Duration = Duration::from_millis(200);

/// Starts media children.
///
/// A child is killed when the *thread* that started it ends (`PR_SET_PDEATHSIG`), so call these
/// methods on a thread that lives as long as the work; each blocks until its child is gone.
#[derive(Debug, Clone)]
pub struct Launcher {
    options: Options,
}

/// What a task's messages are given to.
struct Receiver<'a> {
    on_sample: &'a mut dyn FnMut(EncodedSample) -> Result<()>,
    spool: Option<&'a mut File>,
    /// How much the spool may still take.
    room: u64,
    /// Where a poster goes, if one was asked for.
    poster: Option<&'a mut Option<Bytes>>,
}

impl Launcher {
    /// Starts children by these options.
    pub fn new(options: Options) -> Self {
        Self { options }
    }

    /// Indexes a source of `size` bytes with libavformat. Samples that the container stores in
    /// pieces are appended to `spool`.
    ///
    /// # Errors
    /// `Invalid` or `Unsupported` when there is nothing usable in it.
    pub fn index(&self, source: &File, size: u64, spool: &mut File) -> Result<SourceIndex> {
        let task = Task::Index(IndexTask { size_bytes: size });
        let never = AtomicBool::new(false);
        let mut no_samples = |_| Err(Error::internal("an index task gave a sample"));
        let receiver = Receiver {
            on_sample: &mut no_samples,
            spool: Some(spool),
            // Unpacked samples may be larger than the source, but not without bound.
            room: size.saturating_mul(2).saturating_add(SPOOL_SLACK),
            poster: None,
        };
        match self.run(&task, source, None, &never, receiver)? {
            Reply::Index(index) => Ok(index),
            _ => Err(Error::internal(
                "the media child answered an index task with something else",
            )),
        }
    }

    /// Does a video task. `on_sample` gets each rendition's samples in decode order.
    ///
    /// # Errors
    /// What the child reports; `Unavailable` when it died, hung, or `stop` was raised.
    pub fn video(
        &self,
        task: &VideoTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
        on_sample: &mut dyn FnMut(EncodedSample) -> Result<()>,
    ) -> Result<TaskSummary> {
        let mut tally = Tally::new(
            task.renditions.len(),
            task.first_frame + task.head,
            task.keep,
        );
        if let Some(stills) = &task.stills {
            for _ in &stills.tracks {
                tally.expect(&stills.i_frames);
            }
            tally.configs += stills.tracks.len();
            tally.expect(&stills.thumbnails);
        }
        let whole = Task::Video(task.clone());
        self.encode(&whole, source, spool, stop, &mut tally, on_sample)
    }

    /// Does an audio task.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn audio(
        &self,
        task: &AudioTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
        on_sample: &mut dyn FnMut(EncodedSample) -> Result<()>,
    ) -> Result<TaskSummary> {
        let mut tally = Tally::new(task.renditions.len(), task.first_frame, task.frames);
        let whole = Task::Audio(task.clone());
        self.encode(&whole, source, spool, stop, &mut tally, on_sample)
    }

    /// Does a configure task. Without encoders and poster no child is started.
    ///
    /// # Errors
    /// As [`Self::video`]. A poster that can't be made is no error, and where nothing else was
    /// asked for, nor is a child that fails.
    pub fn configure(
        &self,
        task: &ConfigureTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
    ) -> Result<Configured> {
        let encoders = task.video.len() + task.audio.len();
        if encoders == 0 && !task.wants_poster() {
            return Ok(Configured::default());
        }
        match self.ask_encoders(task, source, spool, stop) {
            Err(error) if encoders == 0 && !stop.load(Ordering::Relaxed) => Ok(Configured {
                damage: vec![Damage {
                    time: task.poster.as_ref().map_or(0, |poster| poster.from),
                    message: format!("no poster: {error}"),
                }],
                ..Configured::default()
            }),
            done => done,
        }
    }

    /// Does a scan task.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn scan(&self, task: &ScanTask, source: &File, spool: Option<&File>) -> Result<ScanCount> {
        let mut no_samples = |_| Err(Error::internal("a scan task gave a sample"));
        let receiver = Receiver {
            on_sample: &mut no_samples,
            spool: None,
            room: 0,
            poster: None,
        };
        let whole = Task::Scan(task.clone());
        let never = AtomicBool::new(false);
        match self.run(&whole, source, spool, &never, receiver)? {
            Reply::Scanned(count) => Ok(count),
            _ => Err(Error::internal(
                "the media child answered a scan task with something else",
            )),
        }
    }

    /// Does a measure task; gives a part for each of its sounds.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn measure(
        &self,
        task: &MeasureTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
    ) -> Result<Vec<LoudnessPart>> {
        let mut no_samples = |_| Err(Error::internal("a measure task gave a sample"));
        let receiver = Receiver {
            on_sample: &mut no_samples,
            spool: None,
            room: 0,
            poster: None,
        };
        let whole = Task::Measure(task.clone());
        match self.run(&whole, source, spool, stop, receiver)? {
            Reply::Measured(parts) if parts.len() == task.sounds.len() => Ok(parts),
            _ => Err(Error::internal(
                "the media child answered a measure task with something else",
            )),
        }
    }

    /// Does an order task.
    ///
    /// # Errors
    /// As [`Self::video`].
    pub fn order(
        &self,
        task: OrderTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
    ) -> Result<Ranks> {
        let mut no_samples = |_| Err(Error::internal("an order task gave a sample"));
        let receiver = Receiver {
            on_sample: &mut no_samples,
            spool: None,
            room: 0,
            poster: None,
        };
        match self.run(&Task::Order(task), source, spool, stop, receiver)? {
            Reply::Ordered(ranks) => Ok(ranks),
            _ => Err(Error::internal(
                "the media child answered an order task with something else",
            )),
        }
    }

    fn ask_encoders(
        &self,
        task: &ConfigureTask,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
    ) -> Result<Configured> {
        let mut poster = None;
        let mut no_samples = |_| Err(Error::internal("a configure task gave a sample"));
        let receiver = Receiver {
            on_sample: &mut no_samples,
            spool: None,
            room: 0,
            poster: task.wants_poster().then_some(&mut poster),
        };
        let whole = Task::Configure(task.clone());
        let Reply::Configured(configured) = self.run(&whole, source, spool, stop, receiver)? else {
            return Err(Error::internal(
                "the media child answered a configure task with something else",
            ));
        };
        let given = (configured.video.len(), configured.audio.len());
        if given != (task.video.len(), task.audio.len()) {
            return Err(Error::internal("the media child left out an encoder"));
        }
        Ok(Configured {
            poster,
            ..configured
        })
    }

    fn encode(
        &self,
        task: &Task,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
        tally: &mut Tally,
        on_sample: &mut dyn FnMut(EncodedSample) -> Result<()>,
    ) -> Result<TaskSummary> {
        let mut counted = |sample: EncodedSample| {
            tally.take(&sample)?;
            on_sample(sample)
        };
        let receiver = Receiver {
            on_sample: &mut counted,
            spool: None,
            room: 0,
            poster: None,
        };
        match self.run(task, source, spool, stop, receiver)? {
            Reply::Summary(summary) => tally.finish(summary),
            _ => Err(Error::internal(
                "the media child answered a task with something else",
            )),
        }
    }

    fn run(
        &self,
        task: &Task,
        source: &File,
        spool: Option<&File>,
        stop: &AtomicBool,
        receiver: Receiver<'_>,
    ) -> Result<Reply> {
        let (mut ours, theirs) =
            UnixStream::pair().map_err(|e| Error::io("making a socket for the media child", e))?;
        ours.set_write_timeout(Some(self.options.stall))
            .map_err(|e| Error::io("making a socket for the media child", e))?;
        let mut running = Running::start(&self.options, theirs)?;
        let given = send_files(&ours, source, spool)
            .and_then(|()| write_task(&mut ours, task))
            .map(|()| drop(ours));
        // A child that died before it read its task has more to say about it than the socket.
        let heard = running.listen(&self.options, stop, receiver);
        match (heard, given) {
            (Ok(Some(reply)), _) => Ok(reply),
            (Ok(None), _) => Err(running.obituary()),
            (Err(e), _) => Err(e),
        }
    }
}

/// Counts what a child delivers: each frame of each rendition once, and nothing else. The child
/// is not trusted; whoever muxes its samples need not check again.
struct Tally {
    frames: std::ops::Range<u32>,
    /// What was delivered or never asked for, by rendition.
    seen: Vec<Vec<bool>>,
    /// Decoder configurations to come.
    configs: usize,
}

impl Tally {
    fn new(renditions: usize, first: u32, count: u32) -> Self {
        let len = usize::try_from(count).unwrap_or(0);
        Self {
            frames: first..first.saturating_add(count),
            seen: vec![vec![false; len]; renditions],
            configs: renditions,
        }
    }

    /// One rendition more, of these frames only.
    fn expect(&mut self, frames: &[u32]) {
        let mut seen = vec![true; self.frames.len()];
        for frame in frames {
            let at = frame.wrapping_sub(self.frames.start);
            let slot = usize::try_from(at).ok().and_then(|at| seen.get_mut(at));
            if let Some(slot) = slot {
                *slot = false;
            }
        }
        self.seen.push(seen);
    }

    fn take(&mut self, sample: &EncodedSample) -> Result<()> {
        let at = sample.frame.wrapping_sub(self.frames.start);
        let slot = usize::try_from(sample.rendition)
            .ok()
            .and_then(|rendition| self.seen.get_mut(rendition))
            .and_then(|seen| seen.get_mut(usize::try_from(at).ok()?));
        match slot {
            Some(seen @ false) if !sample.data.is_empty() => {
                *seen = true;
                Ok(())
            }
            _ => Err(Error::internal(format!(
                "the media child gave frame {} of rendition {}, which nobody asked for",
                sample.frame, sample.rendition
            ))),
        }
    }

    fn finish(&self, summary: TaskSummary) -> Result<TaskSummary> {
        let missing = self.seen.iter().flatten().filter(|seen| !**seen).count();
        if missing > 0 || summary.configs.len() != self.configs {
            return Err(Error::internal(format!(
                "the media child left out {missing} frames of {:?}",
                self.frames
            )));
        }
        Ok(summary)
    }
}

/// The program's own media child, or the one named in the options.
fn program(options: &Options) -> Result<PathBuf> {
    if let Some(program) = &options.program {
        return Ok(program.clone());
    }
    let own = std::env::current_exe().map_err(|e| Error::io("finding this program's folder", e))?;
    let folders = own.ancestors().skip(1).take(2);
    let candidates: Vec<PathBuf> = folders.map(|folder| folder.join(PROGRAM)).collect();
    let is_there = |path: &&PathBuf| std::fs::metadata(path).is_ok_and(|meta| meta.is_file());
    candidates.iter().find(is_there).cloned().ok_or_else(|| {
        let wanted = candidates
            .first()
            .map(|path| path.display().to_string())
            .unwrap_or_default();
        Error::unsupported(format!(
            "{wanted} is not there; install both programs in one folder, or package MP4 files \
             with --passthrough only, which needs no decoder"
        ))
    })
}

/// Hands source and spool to the child. Without a spool the source stands in its place.
fn send_files(socket: &UnixStream, source: &File, spool: Option<&File>) -> Result<()> {
    let files = [source.as_fd(), spool.unwrap_or(source).as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(2))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(
        socket,
        &[IoSlice::new(&[child::FILES_BYTE])],
        &mut control,
        SendFlags::NOSIGNAL,
    )
    .map(drop)
    .map_err(|e| Error::io("giving the media child its files", e.into()))
}

/// A started child; killed and reaped when dropped.
struct Running {
    child: Child,
    last_words: Vec<u8>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end();
    }
}

impl Running {
    fn start(options: &Options, socket: UnixStream) -> Result<Self> {
        let program = program(options)?;
        let mut command = Command::new(&program);
        command
            .args(child::arguments(options))
            .env_clear()
            .stdin(OwnedFd::from(socket))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0);
        let child = command
            .spawn()
            .map_err(|e| Error::io(format!("starting the media child {}", program.display()), e))?;
        Ok(Self {
            child,
            last_words: Vec::new(),
        })
    }

    /// Takes messages until the final reply; `None` when the child ended without one.
    fn listen(
        &mut self,
        options: &Options,
        stop: &AtomicBool,
        mut receiver: Receiver<'_>,
    ) -> Result<Option<Reply>> {
        let mut out = self
            .child
            .stdout
            .take()
            .ok_or_else(|| Error::internal("no pipe"))?;
        let mut err = self.child.stderr.take();
        let mut buffer = BytesMut::new();
        let mut chunk = vec![0; 256 << 10];
        let mut heard = Instant::now();
        loop {
            if stop.load(Ordering::Relaxed) {
                return Err(Error::new(ErrorKind::Unavailable, "stopped"));
            }
            if heard.elapsed() > options.stall {
                return Err(self.stalled(options));
            }
            let (out_ready, err_ready) = wait(&out, err.as_ref())?;
            if err_ready {
                let read = err.as_mut().map_or(Ok(0), |err| err.read(&mut chunk));
                match read {
                    Ok(read) if read > 0 => self.remember(&chunk[..read]),
                    _ => err = None,
                }
            }
            if !out_ready {
                continue;
            }
            let read = out
                .read(&mut chunk)
                .map_err(|e| Error::io("reading from the child", e))?;
            if read == 0 {
                self.end_within(GRACE);
                while let Some(Ok(read @ 1..)) = err.as_mut().map(|err| err.read(&mut chunk)) {
                    self.remember(&chunk[..read]);
                }
                return Ok(None);
            }
            heard = Instant::now();
            buffer.extend_from_slice(&chunk[..read]);
            while let Some(message) = take(&mut buffer)? {
                if let Some(reply) = receiver.take(message, options)? {
                    return Ok(Some(reply));
                }
            }
        }
    }

    fn remember(&mut self, words: &[u8]) {
        self.last_words.extend_from_slice(words);
        let excess = self.last_words.len().saturating_sub(LAST_WORDS);
        self.last_words.drain(..excess);
    }

    /// Kills the child, unless it has been reaped: its number may be another's by then.
    fn end(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // The child leads a group of its own; whatever it may have started goes with it.
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }

    /// Lets the child end by itself for a while.
    fn end_within(&mut self, grace: Duration) {
        let since = Instant::now();
        while since.elapsed() < grace && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.end();
    }

    fn stalled(&mut self, options: &Options) -> Error {
        self.end();
        let seconds = options.stall.as_secs();
        let message = format!("the media child was silent for {seconds} s and was ended");
        Error::new(ErrorKind::Unavailable, format!("{message}{}", self.words()))
    }

    /// The error for a child that ended without a reply.
    fn obituary(&mut self) -> Error {
        let how = match self.child.wait() {
            Ok(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("died by signal {signal}"),
                (None, code) => format!("ended with code {}", code.unwrap_or(-1)),
            },
            Err(e) => format!("is gone ({e})"),
        };
        Error::new(
            ErrorKind::Unavailable,
            format!("the media child {how}{}", self.words()),
        )
    }

    fn words(&self) -> String {
        let words = String::from_utf8_lossy(&self.last_words);
        match words.trim() {
            "" => String::new(),
            words => format!("; its last words: {words}"),
        }
    }
}

/// Waits a moment for either pipe; a closed one counts as ready.
fn wait(out: &impl AsFd, err: Option<&impl AsFd>) -> Result<(bool, bool)> {
    let mut files = vec![PollFd::new(out, PollFlags::IN)];
    files.extend(err.map(|err| PollFd::new(err, PollFlags::IN)));
    let glance = Timespec {
        tv_sec: 0,
        tv_nsec: i64::from(GLANCE.subsec_nanos()),
    };
    match poll(&mut files, Some(&glance)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(Error::io("waiting for the media child", e.into())),
    }
    let ready = |file: Option<&PollFd<'_>>| file.is_some_and(|file| !file.revents().is_empty());
    Ok((ready(files.first()), ready(files.get(1))))
}

impl Receiver<'_> {
    fn take(&mut self, message: Message, options: &Options) -> Result<Option<Reply>> {
        match message {
            Message::Alive => {}
            Message::Sample(sample) => (self.on_sample)(sample)?,
            Message::Poster(jpeg) => match &mut self.poster {
                Some(poster) if jpeg.len() <= MAX_POSTER => **poster = Some(jpeg),
                _ => return Err(Error::internal("the media child gave an unwanted poster")),
            },
            Message::Spool(bytes) => {
                let spool = self.spool.as_mut();
                let spool = spool.ok_or_else(|| Error::internal("a spool nobody asked for"))?;
                self.room = self.room.checked_sub(bytes.len() as u64).ok_or_else(|| {
                    Error::new(
                        ErrorKind::Exhausted,
                        "the source unpacks to more than twice its size",
                    )
                })?;
                spool
                    .write_all(&bytes)
                    .map_err(|e| Error::io("writing the spool", e))?;
            }
            Message::Reply(reply) => match *reply {
                Reply::Hello(layers) if options.strict && !layers.complete() => {
                    return Err(child::not_confined(layers));
                }
                Reply::Hello(_) => {}
                Reply::Failed { kind, message } => return Err(Error::new(kind, message)),
                done => return Ok(Some(done)),
            },
        }
        Ok(None)
    }
}
