//! Programs that take a password as an option.

/// A program with an option for a password.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) names: &'static [&'static str],
    pub(super) option: &'static str,
    /// `-psecret`
    pub(super) joined: bool,
    /// `-p secret`
    pub(super) apart: bool,
}

pub(super) const PROGRAMS: &[Program] = &[
    Program {
        names: &[
            "mysql",
            "mysqldump",
            "mysqladmin",
            "mysqlimport",
            "mysqlshow",
            "mysqlcheck",
            "mysqlpump",
            "mycli",
            "mariadb",
            "mariadb-dump",
            "mariadb-admin",
            "7z",
            "7za",
            "rar",
            "unrar",
        ],
        option: "-p",
        joined: true,
        apart: false,
    },
    Program {
        names: &[
            "sshpass",
            "mongo",
            "mongosh",
            "mongodump",
            "mongorestore",
            "login",
            "isql",
            "sqlcmd",
            "cqlsh",
        ],
        option: "-p",
        joined: true,
        apart: true,
    },
    Program { names: &["redis-cli"], option: "-a", joined: true, apart: true },
    Program {
        names: &["ldapsearch", "ldapmodify", "ldapadd", "ldapdelete", "ldapwhoami", "ldappasswd"],
        option: "-w",
        joined: true,
        apart: true,
    },
    Program { names: &["zip", "unzip", "sqlcmd", "bcp"], option: "-P", joined: true, apart: true },
];
