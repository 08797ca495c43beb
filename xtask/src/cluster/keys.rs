//! Who is who in the cluster: two authorities, a certificate for each part, the key of service accounts' tokens, and the
//! configurations with which parts and administrator reach the API server.

use super::inside::Cluster;
use super::node::{ADDRESS, API_SERVICE, NAME};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};

/// A certificate: its name, whose it is, its group, the names of a server.
type Wanted<'w> = (&'w str, &'w str, &'w str, &'w [&'w str]);

const OWN: [&str; 2] = ["localhost", "127.0.0.1"];

pub(super) fn write(cluster: &Cluster) -> Result<(), String> {
    std::fs::create_dir_all(cluster.run.join("keys")).map_err(|error| error.to_string())?;
    let authority = authority(cluster, "ca")?;
    let server = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "127.0.0.1",
        API_SERVICE,
        ADDRESS,
    ];
    let node = format!("system:node:{NAME}");
    let wanted: [Wanted<'_>; 8] = [
        ("apiserver", "kube-apiserver", "", &server),
        ("etcd", "etcd", "", &OWN),
        ("admin", "admin", "system:masters", &[]),
        ("controllers", "system:kube-controller-manager", "", &OWN),
        ("scheduler", "system:kube-scheduler", "", &OWN),
        ("proxy", "system:kube-proxy", "", &[]),
        ("kubelet", &node, "system:nodes", &[NAME, ADDRESS, "127.0.0.1"]),
        ("to-kubelet", "kube-apiserver-kubelet-client", "system:masters", &[]),
    ];
    for one in wanted {
        sign(cluster, &authority, one)?;
    }
    let front = self::authority(cluster, "front-ca")?;
    sign(cluster, &front, ("front", "front-proxy-client", "", &[]))?;
    let accounts = KeyPair::generate().map_err(failed)?;
    store(cluster, "accounts.key", &accounts.serialize_pem())?;
    store(cluster, "accounts.pub", &accounts.public_key_pem())?;
    for name in ["admin", "controllers", "scheduler", "proxy", "kubelet"] {
        let config = serde_json::json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "cluster",
            "clusters": [{"name": "cluster", "cluster": {
                "server": format!("https://{ADDRESS}:6443"), "certificate-authority": cluster.file("keys/ca.crt"),
            }}],
            "users": [{"name": name, "user": {
                "client-certificate": cluster.file(&format!("keys/{name}.crt")),
                "client-key": cluster.file(&format!("keys/{name}.key")),
            }}],
            "contexts": [{"name": "cluster", "context": {"cluster": "cluster", "user": name}}],
        });
        let path = cluster.run.join(format!("{name}.conf"));
        std::fs::write(path, config.to_string()).map_err(|error| error.to_string())?;
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "`map_err` hands the error over")]
fn failed(error: rcgen::Error) -> String {
    format!("a certificate: {error}")
}

fn store(cluster: &Cluster, name: &str, text: &str) -> Result<(), String> {
    std::fs::write(cluster.run.join("keys").join(name), text).map_err(|error| format!("{name}: {error}"))
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(cluster: &Cluster, name: &str) -> Result<Authority, String> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority =
        CertifiedIssuer::self_signed(params, KeyPair::generate().map_err(failed)?).map_err(failed)?;
    store(cluster, &format!("{name}.crt"), &authority.pem())?;
    store(cluster, &format!("{name}.key"), &authority.key().serialize_pem())?;
    Ok(authority)
}

fn sign(
    cluster: &Cluster,
    authority: &Authority,
    (file, name, group, servers): Wanted<'_>,
) -> Result<(), String> {
    let servers: Vec<String> = servers.iter().map(|server| (*server).to_owned()).collect();
    let mut params = CertificateParams::new(servers).map_err(failed)?;
    params.distinguished_name.push(DnType::CommonName, name);
    if !group.is_empty() {
        params.distinguished_name.push(DnType::OrganizationName, group);
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, authority).map_err(failed)?;
    store(cluster, &format!("{file}.key"), &key.serialize_pem())?;
    store(cluster, &format!("{file}.crt"), &certificate.pem())
}
