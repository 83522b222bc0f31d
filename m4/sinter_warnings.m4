# SINTER_PROBE_WARNINGS(FLAGS)
# Puts those of FLAGS that the C compiler takes into WARN_CFLAGS, and -Werror with --enable-werror.
AC_DEFUN([SINTER_PROBE_WARNINGS], [
  WARN_CFLAGS=
  m4_foreach_w([flag], [$1], [
    AS_VAR_PUSHDEF([cache], [sinter_cv_warn_]flag)
    AC_CACHE_CHECK([whether $CC takes ]flag, [cache], [
      sinter_save_CFLAGS=$CFLAGS
      CFLAGS="$CFLAGS -Werror flag"
      AC_COMPILE_IFELSE([AC_LANG_PROGRAM([], [])], [AS_VAR_SET([cache], [yes])], [AS_VAR_SET([cache], [no])])
      CFLAGS=$sinter_save_CFLAGS
    ])
    AS_VAR_IF([cache], [yes], [WARN_CFLAGS="$WARN_CFLAGS flag"])
    AS_VAR_POPDEF([cache])
  ])
  AS_IF([test "x$enable_werror" = xyes], [WARN_CFLAGS="$WARN_CFLAGS -Werror"])
  AC_SUBST([WARN_CFLAGS])
])
