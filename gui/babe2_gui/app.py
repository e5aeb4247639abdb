"""Entry point of the desktop app: `babe2-gui [FILE]`."""

from __future__ import annotations

import argparse
import sys


def main(argv: list[str] | None = None) -> int:
    """Shows the window until it is closed. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="babe2-gui", description="Restores old music recordings: the desktop app.")
    parser.add_argument("file", metavar="FILE", nargs="?", help="a recording or a session to open")
    args = parser.parse_args(argv)
    try:
        import pyqtgraph  # noqa: F401
        from PySide6.QtCore import Qt
        from PySide6.QtWidgets import QApplication, QLabel
    except ImportError as error:
        print(f"The desktop app needs more packages ({error}). Install them with: pip install 'babe2-fx[gui]'",
              file=sys.stderr)
        return 1
    from .views import theme
    from .views.icons import icon
    app = QApplication(sys.argv[:1])
    app.setApplicationName("babe2-gui")
    app.setApplicationDisplayName("BABE-2")
    theme.apply(app)
    app.setWindowIcon(icon("wave"))
    # The window's module imports PyTorch, which takes seconds.
    splash = QLabel("BABE-2 is starting…")
    splash.setWindowFlags(Qt.WindowType.SplashScreen | Qt.WindowType.FramelessWindowHint)
    splash.setAlignment(Qt.AlignmentFlag.AlignCenter)
    splash.setFixedSize(320, 110)
    splash.show()
    app.processEvents()
    from .main_window import MainWindow
    window = MainWindow()
    window.show()
    splash.close()
    window.greet(args.file)
    return app.exec()


if __name__ == "__main__":
    sys.exit(main())
