//! The locks a child puts on itself before it looks at a single byte of the source.
//!
//! Both Landlock and seccomp are needed: Landlock alone leaves sockets and processes open, seccomp
//! alone can't tell one file from another.

use std::collections::BTreeMap;

use landlock::{ABI, Access, AccessFs, AccessNet, Ruleset, RulesetAttr, RulesetStatus, Scope};
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior,
    set_parent_process_death_signal, setrlimit,
};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

use super::protocol::Layers;

/// What a child may use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub(super) memory_bytes: u64,
    pub(super) cpu_seconds: Option<u64>,
}

/// Locks the process up as far as the system allows, and says how far that was.
pub(super) fn lock_down(limits: &Limits) -> Layers {
    // The parent's end is the child's end.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    Layers {
        limits: limit(limits),
        no_new_privileges: rustix::thread::set_no_new_privs(true).is_ok(),
        landlock: forbid_files_and_network(),
        seccomp: forbid_system_calls(),
    }
}

fn limit(limits: &Limits) -> bool {
    let both = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    let mut wanted = vec![
        (Resource::As, limits.memory_bytes),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nofile, 16),
    ];
    wanted.extend(limits.cpu_seconds.map(|seconds| (Resource::Cpu, seconds)));
    wanted
        .into_iter()
        .all(|(resource, value)| setrlimit(resource, both(value)).is_ok())
}

/// A Landlock ruleset that handles everything and allows nothing.
fn forbid_files_and_network() -> bool {
    let abi = ABI::V6;
    let restricted = Ruleset::default()
        .handle_access(AccessFs::from_all(abi))
        .and_then(|rules| rules.handle_access(AccessNet::from_all(abi)))
        .and_then(|rules| rules.scope(Scope::from_all(abi)))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    restricted.is_ok_and(|status| status.ruleset == RulesetStatus::FullyEnforced)
}

/// What decoding and encoding in threads needs of the kernel, and nothing more.
const ALLOWED: &[i64] = &[
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_pread64,
    libc::SYS_lseek,
    libc::SYS_close,
    libc::SYS_fstat,
    libc::SYS_ppoll,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_getparam,
    libc::SYS_sched_getscheduler,
    libc::SYS_getcpu,
    libc::SYS_set_robust_list,
    libc::SYS_get_robust_list,
    libc::SYS_rseq,
    libc::SYS_set_tid_address,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sysinfo,
    libc::SYS_uname,
    libc::SYS_restart_syscall,
    libc::SYS_membarrier,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Calls of older architectures only.
#[cfg(target_arch = "x86_64")]
const ALLOWED_HERE: &[i64] = &[libc::SYS_poll, libc::SYS_arch_prctl, libc::SYS_time];
#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_HERE: &[i64] = &[];

fn forbid_system_calls() -> bool {
    let programs = || -> Result<[BpfProgram; 2], seccompiler::BackendError> {
        // The list last: once it is in force, no further filter can be added.
        Ok([no_clone3()?, allow_list()?])
    };
    programs().is_ok_and(|programs| programs.iter().all(|p| apply_filter_all_threads(p).is_ok()))
}

fn errno(code: i32) -> SeccompAction {
    SeccompAction::Errno(code.unsigned_abs())
}

/// Calls that are allowed with certain arguments only: (call, argument, its bits, their value).
///
/// Threads, but no processes. Memory, but no code in it. Names for threads, but no other control
/// of the process. Limits may be asked for, but not set. Signals go to this process only (they
/// are how it aborts). Descriptors may be doubled.
fn conditions() -> Vec<(i64, u8, u64, u64)> {
    const WHOLE: u64 = u32::MAX as u64;
    let bits = |value: i32| u64::from(value.unsigned_abs());
    let (thread, exec) = (bits(libc::CLONE_THREAD), bits(libc::PROT_EXEC));
    vec![
        (libc::SYS_clone, 0, thread, thread),
        (libc::SYS_mmap, 2, exec, 0),
        (libc::SYS_mprotect, 2, exec, 0),
        (libc::SYS_prctl, 0, WHOLE, bits(libc::PR_SET_NAME)),
        (libc::SYS_prlimit64, 2, u64::MAX, 0),
        (libc::SYS_tgkill, 0, WHOLE, u64::from(std::process::id())),
        (libc::SYS_fcntl, 1, WHOLE, bits(libc::F_DUPFD_CLOEXEC)),
        (libc::SYS_fcntl, 1, WHOLE, bits(libc::F_GETFD)),
        (libc::SYS_fcntl, 1, WHOLE, bits(libc::F_GETFL)),
    ]
}

/// Everything not on the list fails with `EPERM`: FFmpeg's and glibc's code copes with that.
fn allow_list() -> Result<BpfProgram, seccompiler::BackendError> {
    let always = ALLOWED
        .iter()
        .chain(ALLOWED_HERE)
        .map(|call| (*call, Vec::new()));
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = always.collect();
    for (call, argument, bits, value) in conditions() {
        let condition = SeccompCondition::new(
            argument,
            SeccompCmpArgLen::Qword,
            SeccompCmpOp::MaskedEq(bits),
            value,
        )?;
        let rule = SeccompRule::new(vec![condition])?;
        rules.entry(call).or_default().push(rule);
    }
    rules.insert(libc::SYS_clone3, Vec::new());
    filter(rules, errno(libc::EPERM), SeccompAction::Allow)
}

/// `clone3` takes its flags from memory, where a filter can't look. `ENOSYS` makes glibc use
/// `clone` instead.
fn no_clone3() -> Result<BpfProgram, seccompiler::BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    filter(rules, SeccompAction::Allow, errno(libc::ENOSYS))
}

fn filter(
    rules: BTreeMap<i64, Vec<SeccompRule>>,
    otherwise: SeccompAction,
    on_match: SeccompAction,
) -> Result<BpfProgram, seccompiler::BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    SeccompFilter::new(rules, otherwise, on_match, architecture)?.try_into()
}

/// Tries, inside the locks, what a hijacked child would try. For tests and for whoever doubts.
pub fn self_test() -> serde_json::Value {
    let limits = Limits {
        memory_bytes: 6 << 30,
        cpu_seconds: None,
    };
    let own = std::env::current_exe().unwrap_or_default();
    let parent = rustix::process::getppid();
    let layers = lock_down(&limits);
    let thread = std::thread::spawn(|| 1).join().is_ok();
    let more = Rlimit {
        current: Some(64),
        maximum: Some(64),
    };
    serde_json::json!({
        "layers": layers,
        "reads_a_file": std::fs::read("/etc/passwd").is_ok(),
        "reads_its_own_program": std::fs::read(&own).is_ok(),
        "looks_at_a_file": std::fs::metadata("/etc/passwd").is_ok(),
        "writes_a_file": std::fs::write("/tmp/headwater-self-test", "x").is_ok(),
        "lists_a_folder": std::fs::read_dir("/").is_ok(),
        "opens_a_socket": std::net::UdpSocket::bind("127.0.0.1:0").is_ok(),
        "connects": std::net::TcpStream::connect("127.0.0.1:9").is_ok(),
        "opens_a_local_socket": std::os::unix::net::UnixStream::pair().is_ok(),
        "forks": std::process::Command::new(&own).arg("--self-test").spawn().is_ok(),
        "becomes_another_program": becomes_another_program(&own),
        "signals_its_parent": parent.is_some_and(|p| rustix::process::test_kill_process(p).is_ok()),
        "raises_its_limits": setrlimit(Resource::Nofile, more).is_ok(),
        "grows_without_bound": grows_beyond(limits.memory_bytes),
        "starts_a_thread": thread,
    })
}

/// Tries `exec`, which only returns when it fails. The program named would print something else.
fn becomes_another_program(own: &std::path::Path) -> bool {
    use std::os::unix::process::CommandExt;
    let error = std::process::Command::new(own)
        .arg("--no-such-argument")
        .exec();
    error.raw_os_error().is_none()
}

fn grows_beyond(limit: u64) -> bool {
    let mut bytes: Vec<u8> = Vec::new();
    usize::try_from(limit).is_ok_and(|limit| bytes.try_reserve_exact(limit).is_ok())
}
