// Keeps the page true when its person comes back to it, hands over the code, and says early what this browser cannot do.
// @ts-check

const waiting = document.querySelector("[data-reload-on-return]");
if (waiting) {
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState === "visible") location.reload();
  });
}
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

/** @param {string} id */
function show(id) {
  const found = document.getElementById(id);
  if (found) found.hidden = false;
  return found;
}

if (navigator.clipboard && document.getElementById("copy")) {
  const copy = show("copy");
  copy?.addEventListener("click", async () => {
    await navigator.clipboard.writeText(document.getElementById("code")?.textContent ?? "");
    copy.textContent = "Copied";
  });
}

if (typeof PublicKeyCredential === "undefined") {
  show("no-passkeys");
} else if (waiting) {
  PublicKeyCredential.isUserVerifyingPlatformAuthenticatorAvailable().then((there) => {
    if (!there) show("no-platform");
  });
}
