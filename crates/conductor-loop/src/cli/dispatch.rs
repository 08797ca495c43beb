//! What each subcommand runs, and with which arguments.

use super::subcommand::{
    AuditCommand, BackupCommand, BackupFile, ConfigCommand, KeysCommand, StateCommand, Subcommand,
};
use super::written::{config, layers};
use crate::commands::{
    self, AuditFilter, BackupArgs, CommandError, LogsArgs, Retried, RetryArgs, SubmitArgs, VerifyArgs,
};
use conductor_core::Exit;

/// Runs one command.
pub(super) fn run_command(command: Subcommand) -> Result<Exit, CommandError> {
    match command {
        Subcommand::Status(args) => {
            commands::status(&config(&args.place.values)?, args.watch, args.form.output)
        }
        Subcommand::Health(args) => commands::health(&config(&args.place.values)?, args.form.output),
        Subcommand::Top(args) => commands::top(&config(&args.place.values)?, args.form.output),
        Subcommand::List(args) => {
            commands::list(&config(&args.place.values)?, &args.selection(), args.watch, args.form.output)
        }
        Subcommand::Show(args) => {
            commands::show(&config(&args.place.values)?, &args.intent, args.form.output)
        }
        Subcommand::Explain(args) => {
            commands::explain(&config(&args.place.values)?, &args.intent, args.form.output)
        }
        Subcommand::Retry(args) => {
            let selection = args.failed.then(|| args.selection());
            let which = selection.map_or(Retried::Named(args.intents), Retried::Failed);
            let retry = RetryArgs { which, dry_run: args.dry_run, wait: args.wait.limit() };
            commands::retry(&config(&args.place.values)?, &retry, args.form.output)
        }
        Subcommand::Hold(args) => {
            commands::hold(&config(&args.place.values)?, args.covered.target(), &args.note, args.form.output)
        }
        Subcommand::Release(args) => {
            commands::release(&config(&args.place.values)?, args.covered.target(), args.form.output)
        }
        Subcommand::Cancel(args) => {
            commands::cancel(&config(&args.place.values)?, &args.intents, args.form.output)
        }
        Subcommand::Purge(args) => {
            commands::purge(&config(&args.place.values)?, args.older_than, args.yes, args.form.output)
        }
        Subcommand::Logs(args) => {
            let (lines, follow, containing) = (args.lines, args.follow, args.containing);
            let logs = LogsArgs { lines, follow, containing, output: args.form.output };
            commands::logs(&config(&args.place.values)?, &logs)
        }
        Subcommand::Submit(args) => {
            let (named, unchecked, wait) = (args.named, args.no_check, args.wait.limit());
            let submit = SubmitArgs { files: args.files, named, unchecked, wait };
            commands::submit(&config(&args.settings.values)?, &submit)
        }
        Subcommand::Wait(args) => {
            commands::wait(&config(&args.place.values)?, &args.intents, args.timeout, args.form.output)
        }
        Subcommand::Check(args) => {
            commands::check(&config(&args.settings.values)?, &args.files, args.form.output)
        }
        Subcommand::Plan(args) => {
            commands::plan(&config(&args.settings.values)?, &args.files, args.form.output)
        }
        Subcommand::State(command) => run_state_command(command),
        Subcommand::Keys(command) => run_keys_command(command),
        Subcommand::Backup(command) => run_backup_command(command),
        Subcommand::Audit(command) => run_audit_command(command),
        Subcommand::Trace(args) => {
            let filter = AuditFilter { correlation_id: Some(args.correlation_id), ..AuditFilter::default() };
            commands::audit_show(&config(&args.place.values)?, &filter, args.form.output)
        }
        Subcommand::Verify(args) => {
            let verify = VerifyArgs { dir: args.dir, public: args.public, since: args.since };
            commands::verify(&config(&args.place.values)?, &verify, args.form.output)
        }
        Subcommand::Config(ConfigCommand::Show(args)) => {
            commands::config_show(&layers(&args.settings.values)?, args.form.output)
        }
        Subcommand::Doctor(args) => commands::doctor(&config(&args.settings.values)?, args.form.output),
        Subcommand::Schema => commands::print_schema(),
    }
}

fn run_state_command(command: StateCommand) -> Result<Exit, CommandError> {
    match command {
        StateCommand::Show(args) => commands::state_show(&config(&args.place.values)?, args.form.output),
        StateCommand::Export { file, place } => {
            commands::state_export(&config(&place.values)?, file.as_deref())
        }
        StateCommand::Import { file, place } => commands::state_import(&config(&place.values)?, &file),
        StateCommand::Rebuild { place } => commands::state_rebuild(&config(&place.values)?),
    }
}

fn run_audit_command(command: AuditCommand) -> Result<Exit, CommandError> {
    match command {
        AuditCommand::Show(args) => {
            let (since, event, correlation_id) = (args.since, args.event, args.correlation_id);
            let filter = AuditFilter { since, event, correlation_id };
            commands::audit_show(&config(&args.place.values)?, &filter, args.form.output)
        }
        AuditCommand::Verify(args) => {
            let verify = VerifyArgs { dir: args.dir, public: args.public, since: args.since };
            commands::audit_verify(&config(&args.place.values)?, &verify, args.form.output)
        }
        AuditCommand::Proof { place, entry } => commands::audit_proof(&config(&place.values)?, entry),
        AuditCommand::Export { place } => commands::audit_export(&config(&place.values)?),
    }
}

fn run_backup_command(command: BackupCommand) -> Result<Exit, CommandError> {
    let of = |which: BackupFile| {
        let args = BackupArgs { file: which.file, identity: which.identity, public: which.public };
        config(&which.settings.values).map(|config| (config, args))
    };
    match command {
        BackupCommand::Now(args) => commands::backup_now(&config(&args.settings.values)?, args.form.output),
        BackupCommand::List(args) => commands::backup_list(&config(&args.settings.values)?, args.form.output),
        BackupCommand::Verify { which, form } => {
            let (config, args) = of(which)?;
            commands::backup_verify(&config, &args, form.output)
        }
        BackupCommand::Restore(which) => {
            let (config, args) = of(which)?;
            commands::backup_restore(&config, &args)
        }
    }
}

fn run_keys_command(command: KeysCommand) -> Result<Exit, CommandError> {
    match command {
        KeysCommand::Show(args) => commands::keys_show(&config(&args.place.values)?, args.form.output),
        KeysCommand::Rotate { place } => commands::keys_rotate(&config(&place.values)?),
        KeysCommand::ExportPublic { place } => commands::keys_export_public(&config(&place.values)?),
    }
}
