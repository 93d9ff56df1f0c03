"""Recognises secrets by their usual names; looks for no other sign of them.

Names are compared in lower case. Too much is left out rather than too little: the user reads which files were
left out, and can rename a file that is not a secret. Code may be called `secrets.py`, and a vocabulary
`tokens.txt`: both are sent. `tune_jobs.on_ray.jobs.left_out` and `tune_jobs.on_ray.jobs.upload` call this.
"""

from __future__ import annotations

import os
import re

SECRET_PATHS = (
    # environments of programs
    *(".env*", "*.env"),
    # keys and stores of keys
    *("*.pem", "*.key", "*.p8", "*.p12", "*.pfx", "*.pkcs12", "*.ppk", "*.jks", "*.keystore", "*.keytab"),
    *("*.kdb", "*.kdbx", "*.gpg", "*.ovpn", "*.agekey"),
    *("key.json", "keyfile.json", "*-key.json", "*_key.json"),
    *("*_rsa", "*_dsa", "*_ecdsa", "*_ed25519", "*-rsa", "*-ed25519", "ssh_host_*_key"),
    *(".ssh", ".gnupg", ".password-store", "keyrings", "*.keychain-db"),
    # clouds and clusters
    *(".aws", ".azure", ".oci", ".config/gcloud", "gcloud/*.db", "*firebase-adminsdk*.json"),
    *(".boto", ".s3cfg", ".passwd-s3fs", "rclone.conf", ".rclone.conf", ".config/rclone", ".databrickscfg"),
    *(".snowsql", ".ray", ".kube", "kubeconfig", "kubeconfig.*", "kubeconfig-*", "*.kubeconfig"),
    *("*-kubeconfig.*", ".docker/config.json", ".dockercfg", ".config/containers/auth.json", ".config/doctl"),
    *(".fly", ".modal.toml", "*.publishsettings"),
    *("*.tfstate", "*.tfstate.*", "*.tfvars", "*.tfvars.json", ".terraform", ".terraform.d", ".terraformrc"),
    *(".vault-token", ".vault_pass*", ".vault-pass*", "vault_pass*", "vault-pass*", "master.key"),
    # registries, sites of code, data bases and mail
    *(".netrc", "_netrc", ".npmrc", ".yarnrc.yml", ".pypirc", "pip.conf", ".condarc", ".m2/settings.xml"),
    *(".gradle/gradle.properties", ".git-credentials", ".config/gh", ".config/hub", ".config/glab-cli"),
    *(".pgpass", "pgpass.conf", ".my.cnf", ".mylogin.cnf", ".htpasswd", ".msmtprc", ".fetchmailrc"),
    # machine learning
    *(".huggingface", "huggingface/token", "huggingface/stored_tokens", ".kaggle", "kaggle.json"),
    *(".config/wandb", "wandb/settings", ".comet.config", ".streamlit/secrets.toml"),
    # a person's typed commands and visited pages
    *(".*_history", ".mozilla", ".config/google-chrome", ".config/chromium"),
)  # fmt: skip
"""Ends of paths: of a file, or of a folder with all its contents. A star stands for part of a name."""

SENT_ENDINGS = frozenset(
    (
        *(".py", ".pyi", ".pyx", ".pxd", ".ipynb", ".c", ".cc", ".cpp", ".cu", ".cuh", ".h", ".hpp", ".rs"),
        *(".go", ".java", ".js", ".jsx", ".ts", ".tsx", ".r", ".jl", ".tf", ".html", ".css", ".md", ".rst"),
        *(".png", ".jpg", ".jpeg", ".svg", ".pdf", ".pt", ".pth", ".onnx", ".safetensors", ".npy", ".npz"),
        *(".h5", ".parquet", ".pub"),
    )
)
"""Endings of code, documents, pictures, weights and arrays: in their names a word of `WORD` is no sign."""

WORD = (
    r"secrets?|\w*credentials?|creds|passwords?|passwd|passphrase|(?:client|app)[-_]?secrets?"
    r"|service[-_ ]?accounts?"
    r"|(?:api|access|private|secret|account|deploy|signing|encryption)[-_]?keys?"
    r"|(?:auth|access|api|refresh|bearer)[-_]?tokens?"
)
"""Words of secrets, between the dots, dashes, underscores and blanks of a name."""

_PATHS = re.compile(
    "(?:^|/)(?:"
    + "|".join(re.escape(path).replace(r"\*", "[^/]*") for path in SECRET_PATHS)
    + ")(?:/|$)"
)  # fmt: skip
_FILE = re.compile(
    rf"(?:.*[-_. ])?(?:{WORD})(?:[-_. ].*)?"
    r"|(?:.*[-_. ])?token(?:\.\w+)?"
    r"|(?:.*[-_. ])?id_(?:rsa|dsa|ecdsa|ed25519)(?:[-_. ].*)?"
)
_FOLDER = re.compile(rf"\.?(?:{WORD})")


def is_secret(path: str, *, is_folder: bool = False) -> bool:
    """Whether a path names a secret, by itself or as part of a folder of secrets.

    Args:
        path: with slashes; relative to a working folder, or the absolute path of a link's target.
        is_folder: whether the path names a folder. Its words alone are no sign then (`credentials/` may be
            code), but the files in it are checked one by one.
    """
    lower = path.lower().strip("/")
    if _PATHS.search(lower):
        return True
    *folders, name = lower.split("/")
    if is_folder or os.path.splitext(name)[1] in SENT_ENDINGS:
        return False
    return bool(_FILE.fullmatch(name)) or any(_FOLDER.fullmatch(folder) for folder in folders)
