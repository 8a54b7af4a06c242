// The door: the token goes into a cookie that no script can read. Behind # it never reaches a log.

const field = document.getElementById("token"), error = document.getElementById("error");

async function give(token) {
  const answer = await fetch("/api/token", {
    method: "POST", headers: { "X-Nightstack": "1", "Content-Type": "application/json" }, body: JSON.stringify({ token }),
  });
  if (answer.ok) return location.replace("/");
  error.textContent = (await answer.json()).error;
  error.hidden = false;
  return field.focus();
}

document.getElementById("door").addEventListener("submit", (event) => { event.preventDefault(); give(field.value); });
if (location.hash.length > 1) {
  const token = location.hash.slice(1);
  history.replaceState(null, "", "/login");
  give(token);
}
