// One way to tell the decision point something: to the page's own origin, with its cookies, once.

/** How the decision point answered. */
export type Answer = "taken" | "not now" | "refused" | "lost";

/** Sends JSON. Nothing is sent twice by itself; "refused" means that this page need not try again. */
export async function post(path: string, body: unknown): Promise<Answer> {
  try {
    const { status } = await fetch(path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
      mode: "same-origin",
      credentials: "same-origin",
      redirect: "error",
      cache: "no-store",
      // The page may be gone before the answer is there.
      keepalive: true,
    });
    if (status === 204) return "taken";
    return status >= 400 && status < 500 && status !== 429 ? "refused" : "not now";
  } catch {
    return "lost";
  }
}
