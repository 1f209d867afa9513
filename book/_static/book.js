// Paper is white: print with the light theme, whatever the reader has on the screen.
{
  const root = document.documentElement;
  let shown = null;
  addEventListener("beforeprint", () => {
    shown = root.dataset.theme;
    root.dataset.theme = "light";
  });
  addEventListener("afterprint", () => {
    if (shown) root.dataset.theme = shown;
    shown = null;
  });
}
