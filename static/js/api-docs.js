// The colors of the API's page. A class turns on the dark theme of Swagger UI; it follows the reader's color scheme.

{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
  dark.addEventListener("change", follow);
  follow();
}
