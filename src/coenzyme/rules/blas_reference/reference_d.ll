; Made of reference.c, sha256 556ade9e05e0d7a6610c06b0e2399a912ac1f1076d6a3f2a1892716c835f326f

@one = internal constant double 1.000000e+00, align 8
@zero = internal constant double 0.000000e+00, align 8
@minus_one = internal constant double -1.000000e+00, align 8

define ptr @coenzyme_blas_dscratch(i64 %size) {
entry:
  %cmp = icmp sgt i64 %size, 0
  %size. = select i1 %cmp, i64 %size, i64 1
  %mul = mul i64 %size., 8
  %call = call ptr @malloc(i64 %mul)
  %tobool = icmp ne ptr %call, null
  br i1 %tobool, label %if.end, label %if.then

if.then:
  call void @coenzyme_out_of_memory()
  unreachable

if.end:
  ret ptr %call
}

declare ptr @malloc(i64)

declare void @coenzyme_out_of_memory()

define double @coenzyme_blas_dtimes(double %factor, double %value) {
entry:
  %cmp = fcmp une double %factor, 0.000000e+00
  %sub = fsub double %value, %value
  %cmp1 = fcmp oeq double %sub, 0.000000e+00
  %or.cond = or i1 %cmp, %cmp1
  %value.addr.0 = select i1 %or.cond, double %value, double 0.000000e+00
  %mul = fmul double %factor, %value.addr.0
  ret double %mul
}

define double @coenzyme_blas_dupdated(double %alpha, double %value, double %beta, ptr %old) {
entry:
  %call = call double @coenzyme_blas_dtimes(double %alpha, double %value)
  %i = call i1 @llvm.is.constant.f64(double %beta)
  %cmp = fcmp oeq double %beta, 0.000000e+00
  %or.cond = and i1 %i, %cmp
  br i1 %or.cond, label %cleanup, label %if.end

if.end:
  %i4 = load double, ptr %old, align 8
  %call1 = call double @coenzyme_blas_dtimes(double %beta, double %i4)
  %add = fadd double %call, %call1
  br label %cleanup

cleanup:
  %retval.0 = phi double [ %add, %if.end ], [ %call, %entry ]
  ret double %retval.0
}

declare i1 @llvm.is.constant.f64(double)

define i64 @coenzyme_blas_dstart(i64 %n, i64 %step) {
entry:
  %cmp = icmp slt i64 %step, 0
  %sub = sub nsw i64 1, %n
  %mul = mul nsw i64 %sub, %step
  %cond = select i1 %cmp, i64 %mul, i64 0
  ret i64 %cond
}

define ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %step) {
entry:
  %call = call ptr @coenzyme_blas_dscratch(i64 %n)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %step)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %step
  %add = add nsw i64 %call1, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %arrayidx2 = getelementptr inbounds double, ptr %call, i64 %i.0
  store double %i, ptr %arrayidx2, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret ptr %call
}

define void @coenzyme_blas_dscatter(i64 %n, ptr %from, ptr %x, i64 %step) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %step)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %arrayidx = getelementptr inbounds double, ptr %from, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %mul = mul nsw i64 %i.0, %step
  %add = add nsw i64 %call, %mul
  %arrayidx1 = getelementptr inbounds double, ptr %x, i64 %add
  store double %i, ptr %arrayidx1, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_dupdate_vector(i64 %n, double %alpha, ptr %t, double %beta, ptr %y, i64 %step) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %step)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %arrayidx = getelementptr inbounds double, ptr %t, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %mul = mul nsw i64 %i.0, %step
  %add = add nsw i64 %call, %mul
  %arrayidx1 = getelementptr inbounds double, ptr %y, i64 %add
  %call2 = call double @coenzyme_blas_dupdated(double %alpha, double %i, double %beta, ptr %arrayidx1)
  %mul3 = mul nsw i64 %i.0, %step
  %add4 = add nsw i64 %call, %mul3
  %arrayidx5 = getelementptr inbounds double, ptr %y, i64 %add4
  store double %call2, ptr %arrayidx5, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define ptr @coenzyme_blas_dzeros(i64 %size) {
entry:
  %call = call ptr @coenzyme_blas_dscratch(i64 %size)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %size
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %i.0
  store double 0.000000e+00, ptr %arrayidx, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret ptr %call
}

define double @coenzyme_blas_ddot(i64 %n, ptr %x, i64 %incx, ptr %y, i64 %incy) {
entry:
  %result = alloca double, align 8
  store double 0.000000e+00, ptr %result, align 8
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %cleanup, label %if.end

if.end:
  %cmp1 = icmp eq i64 %incx, 1
  %cmp2 = icmp eq i64 %incy, 1
  %or.cond = and i1 %cmp1, %cmp2
  br i1 %or.cond, label %if.then3, label %if.end4

if.then3:
  %call = call i32 @numba_xxdot(i8 100, i8 0, i64 %n, ptr %x, ptr %y, ptr %result)
  %i = load double, ptr %result, align 8
  br label %cleanup

if.end4:
  %call5 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call6 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %if.end4 ], [ %inc, %for.body ]
  %cmp7 = icmp slt i64 %i.0, %n
  br i1 %cmp7, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call5, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i14 = load double, ptr %arrayidx, align 8
  %mul8 = mul nsw i64 %i.0, %incy
  %add9 = add nsw i64 %call6, %mul8
  %arrayidx10 = getelementptr inbounds double, ptr %y, i64 %add9
  %i15 = load double, ptr %arrayidx10, align 8
  %mul11 = fmul double %i14, %i15
  %i16 = load double, ptr %result, align 8
  %add12 = fadd double %i16, %mul11
  store double %add12, ptr %result, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  %i17 = load double, ptr %result, align 8
  br label %cleanup

cleanup:
  %retval.0 = phi double [ %i17, %for.end ], [ %i, %if.then3 ], [ 0.000000e+00, %entry ]
  ret double %retval.0
}

declare i32 @numba_xxdot(i8, i8, i64, ptr, ptr, ptr)

define double @coenzyme_blas_dnrm2(i64 %n, ptr %x, i64 %incx) {
entry:
  %result = alloca double, align 8
  store double 0.000000e+00, ptr %result, align 8
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %cleanup, label %if.end

if.end:
  %cmp1 = icmp slt i64 %incx, 0
  %sub = sub nsw i64 0, %incx
  %cond = select i1 %cmp1, i64 %sub, i64 %incx
  %call = call i32 @numba_xxnrm2(i8 100, i64 %n, ptr %x, i64 %cond, ptr %result)
  %i = load double, ptr %result, align 8
  br label %cleanup

cleanup:
  %retval.0 = phi double [ %i, %if.end ], [ 0.000000e+00, %entry ]
  ret double %retval.0
}

declare i32 @numba_xxnrm2(i8, i64, ptr, i64, ptr)

define double @coenzyme_blas_dasum(i64 %n, ptr %x, i64 %incx) {
entry:
  %cmp = icmp sle i64 %incx, 0
  br i1 %cmp, label %cleanup, label %for.cond

for.cond:
  %result.0 = phi double [ %add, %for.body ], [ 0.000000e+00, %entry ]
  %i.0 = phi i64 [ %inc, %for.body ], [ 0, %entry ]
  %cmp1 = icmp slt i64 %i.0, %n
  br i1 %cmp1, label %for.body, label %cleanup

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %mul
  %i = load double, ptr %arrayidx, align 8
  %i5 = call double @llvm.fabs.f64(double %i)
  %add = fadd double %result.0, %i5
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

cleanup:
  %retval.0 = phi double [ 0.000000e+00, %entry ], [ %result.0, %for.cond ]
  ret double %retval.0
}

declare double @llvm.fabs.f64(double)

define void @coenzyme_blas_daxpy(i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %call2 = call double @coenzyme_blas_dtimes(double %alpha, double %i)
  %mul3 = mul nsw i64 %i.0, %incy
  %add4 = add nsw i64 %call1, %mul3
  %arrayidx5 = getelementptr inbounds double, ptr %y, i64 %add4
  %i8 = load double, ptr %arrayidx5, align 8
  %add6 = fadd double %i8, %call2
  store double %add6, ptr %arrayidx5, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_daxpby(i64 %n, double %alpha, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %mul2 = mul nsw i64 %i.0, %incy
  %add3 = add nsw i64 %call1, %mul2
  %arrayidx4 = getelementptr inbounds double, ptr %y, i64 %add3
  %call5 = call double @coenzyme_blas_dupdated(double %alpha, double %i, double %beta, ptr %arrayidx4)
  %mul6 = mul nsw i64 %i.0, %incy
  %add7 = add nsw i64 %call1, %mul6
  %arrayidx8 = getelementptr inbounds double, ptr %y, i64 %add7
  store double %call5, ptr %arrayidx8, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_dscal(i64 %n, double %alpha, ptr %x, i64 %incx) {
entry:
  %cmp = icmp sle i64 %incx, 0
  br i1 %cmp, label %for.end, label %for.cond

for.cond:
  %i.0 = phi i64 [ %inc, %for.body ], [ 0, %entry ]
  %cmp1 = icmp slt i64 %i.0, %n
  br i1 %cmp1, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %mul
  %i = load double, ptr %arrayidx, align 8
  %mul2 = fmul double %i, %alpha
  store double %mul2, ptr %arrayidx, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_dcopy(i64 %n, ptr %x, i64 %incx, ptr %y, i64 %incy) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %mul2 = mul nsw i64 %i.0, %incy
  %add3 = add nsw i64 %call1, %mul2
  %arrayidx4 = getelementptr inbounds double, ptr %y, i64 %add3
  store double %i, ptr %arrayidx4, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_dswap(i64 %n, ptr %x, i64 %incx, ptr %y, i64 %incy) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %mul2 = mul nsw i64 %i.0, %incy
  %add3 = add nsw i64 %call1, %mul2
  %arrayidx4 = getelementptr inbounds double, ptr %y, i64 %add3
  %i16 = load double, ptr %arrayidx4, align 8
  %mul5 = mul nsw i64 %i.0, %incx
  %add6 = add nsw i64 %call, %mul5
  %arrayidx7 = getelementptr inbounds double, ptr %x, i64 %add6
  store double %i16, ptr %arrayidx7, align 8
  %mul8 = mul nsw i64 %i.0, %incy
  %add9 = add nsw i64 %call1, %mul8
  %arrayidx10 = getelementptr inbounds double, ptr %y, i64 %add9
  store double %i, ptr %arrayidx10, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_drot(i64 %n, ptr %x, i64 %incx, ptr %y, i64 %incy, double %c, double %s) {
entry:
  %call = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incx)
  %call1 = call i64 @coenzyme_blas_dstart(i64 %n, i64 %incy)
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %add = add nsw i64 %call, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %mul2 = mul nsw i64 %i.0, %incy
  %add3 = add nsw i64 %call1, %mul2
  %arrayidx4 = getelementptr inbounds double, ptr %y, i64 %add3
  %i20 = load double, ptr %arrayidx4, align 8
  %mul5 = fmul double %c, %i
  %mul6 = fmul double %s, %i20
  %add7 = fadd double %mul5, %mul6
  %mul8 = mul nsw i64 %i.0, %incx
  %add9 = add nsw i64 %call, %mul8
  %arrayidx10 = getelementptr inbounds double, ptr %x, i64 %add9
  store double %add7, ptr %arrayidx10, align 8
  %mul11 = fmul double %c, %i20
  %mul12 = fmul double %s, %i
  %sub = fsub double %mul11, %mul12
  %mul13 = mul nsw i64 %i.0, %incy
  %add14 = add nsw i64 %call1, %mul13
  %arrayidx15 = getelementptr inbounds double, ptr %y, i64 %add14
  store double %sub, ptr %arrayidx15, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret void
}

define void @coenzyme_blas_drotg(ptr %a, ptr %b, ptr %c, ptr %s) {
entry:
  %i = load double, ptr %a, align 8
  %i28 = load double, ptr %b, align 8
  %i29 = call double @llvm.fabs.f64(double %i)
  %i30 = call double @llvm.fabs.f64(double %i28)
  %cmp = fcmp oeq double %i29, 0.000000e+00
  %cmp1 = fcmp oeq double %i30, 0.000000e+00
  %or.cond = select i1 %cmp, i1 %cmp1, i1 false
  br i1 %or.cond, label %if.then, label %if.end

if.then:
  store double 0.000000e+00, ptr %s, align 8
  store double 0.000000e+00, ptr %b, align 8
  store double 0.000000e+00, ptr %a, align 8
  store double 1.000000e+00, ptr %c, align 8
  br label %cleanup.cont

if.end:
  %i31 = call double @llvm.maxnum.f64(double %i29, double %i30)
  %div = fdiv double %i, %i31
  %div2 = fdiv double %i28, %i31
  %cmp3 = fcmp ogt double %i29, %i30
  %. = select i1 %cmp3, double %i, double %i28
  %i32 = call double @llvm.copysign.f64(double 1.000000e+00, double %.)
  %mul = fmul double %i32, %i31
  %mul4 = fmul double %div, %div
  %mul5 = fmul double %div2, %div2
  %add = fadd double %mul4, %mul5
  %i33 = call double @llvm.sqrt.f64(double %add)
  %mul6 = fmul double %mul, %i33
  %div7 = fdiv double %i, %mul6
  %div8 = fdiv double %i28, %mul6
  store double %mul6, ptr %a, align 8
  %cmp9 = fcmp ogt double %i29, %i30
  br i1 %cmp9, label %cond.end18, label %cond.false11

cond.false11:
  %cmp12 = fcmp une double %div7, 0.000000e+00
  %div14 = fdiv double 1.000000e+00, %div7
  %cond17 = select i1 %cmp12, double %div14, double 1.000000e+00
  br label %cond.end18

cond.end18:
  %cond19 = phi double [ %cond17, %cond.false11 ], [ %div8, %if.end ]
  store double %cond19, ptr %b, align 8
  store double %div7, ptr %c, align 8
  store double %div8, ptr %s, align 8
  br label %cleanup.cont

cleanup.cont:
  ret void
}

declare double @llvm.maxnum.f64(double, double)

declare double @llvm.copysign.f64(double, double)

declare double @llvm.sqrt.f64(double)

define void @coenzyme_blas_dgemv(i32 %row, i32 %trans, i64 %m, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  %tobool = icmp ne i32 %row, 0
  %tobool1 = icmp ne i32 %trans, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %n.addr.0 = select i1 %tobool, i64 %m, i64 %n
  %m.addr.0 = select i1 %tobool, i64 %n, i64 %m
  %trans.addr.0 = select i1 %tobool, i32 %lnot.ext, i32 %trans
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp2 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp2
  br i1 %or.cond, label %cleanup.cont, label %if.end4

if.end4:
  %tobool5 = icmp ne i32 %trans.addr.0, 0
  %n.addr.0.m.addr.0 = select i1 %tobool5, i64 %n.addr.0, i64 %m.addr.0
  %cmp6 = icmp eq i64 %incx, 1
  %cmp7 = icmp eq i64 %incy, 1
  %or.cond51 = and i1 %cmp6, %cmp7
  br i1 %or.cond51, label %if.then8, label %if.end44

if.then8:
  %i = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp10 = fcmp oeq double %alpha, 1.000000e+00
  %or.cond52 = and i1 %i, %cmp10
  br i1 %or.cond52, label %land.lhs.true11, label %if.end17

land.lhs.true11:
  %i58 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp13 = fcmp oeq double %beta, 0.000000e+00
  %or.cond53 = and i1 %i58, %cmp13
  br i1 %or.cond53, label %if.then14, label %if.end17

if.then14:
  %tobool15 = icmp ne i32 %trans.addr.0, 0
  %i59 = zext i1 %tobool15 to i64
  %cond16 = select i1 %tobool15, i32 116, i32 110
  %conv = trunc i32 %cond16 to i8
  %call = call i32 @numba_xxgemv(i8 100, i8 %conv, i64 %m.addr.0, i64 %n.addr.0, ptr @one, ptr %a, i64 %lda, ptr %x, ptr @zero, ptr %y)
  br label %cleanup.cont

if.end17:
  %i60 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp19 = fcmp oeq double %alpha, 1.000000e+00
  %or.cond54 = and i1 %i60, %cmp19
  br i1 %or.cond54, label %land.lhs.true21, label %if.end30

land.lhs.true21:
  %i61 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp23 = fcmp oeq double %beta, 1.000000e+00
  %or.cond55 = and i1 %i61, %cmp23
  br i1 %or.cond55, label %if.then25, label %if.end30

if.then25:
  %tobool26 = icmp ne i32 %trans.addr.0, 0
  %i62 = zext i1 %tobool26 to i64
  %cond27 = select i1 %tobool26, i32 116, i32 110
  %conv28 = trunc i32 %cond27 to i8
  %call29 = call i32 @numba_xxgemv(i8 100, i8 %conv28, i64 %m.addr.0, i64 %n.addr.0, ptr @one, ptr %a, i64 %lda, ptr %x, ptr @one, ptr %y)
  br label %cleanup.cont

if.end30:
  %i63 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp32 = fcmp oeq double %alpha, -1.000000e+00
  %or.cond56 = and i1 %i63, %cmp32
  br i1 %or.cond56, label %land.lhs.true34, label %if.end44

land.lhs.true34:
  %i64 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp36 = fcmp oeq double %beta, 1.000000e+00
  %or.cond57 = and i1 %i64, %cmp36
  br i1 %or.cond57, label %if.then38, label %if.end44

if.then38:
  %tobool39 = icmp ne i32 %trans.addr.0, 0
  %i65 = zext i1 %tobool39 to i64
  %cond40 = select i1 %tobool39, i32 116, i32 110
  %conv41 = trunc i32 %cond40 to i8
  %call42 = call i32 @numba_xxgemv(i8 100, i8 %conv41, i64 %m.addr.0, i64 %n.addr.0, ptr @minus_one, ptr %a, i64 %lda, ptr %x, ptr @one, ptr %y)
  br label %cleanup.cont

if.end44:
  %tobool45 = icmp ne i32 %trans.addr.0, 0
  %m.addr.0.n.addr.0 = select i1 %tobool45, i64 %m.addr.0, i64 %n.addr.0
  %call50 = call ptr @coenzyme_blas_dgather(i64 %m.addr.0.n.addr.0, ptr %x, i64 %incx)
  %call51 = call ptr @coenzyme_blas_dscratch(i64 %n.addr.0.m.addr.0)
  %tobool52 = icmp ne i32 %trans.addr.0, 0
  %i66 = zext i1 %tobool52 to i64
  %cond53 = select i1 %tobool52, i32 116, i32 110
  %conv54 = trunc i32 %cond53 to i8
  %call55 = call i32 @numba_xxgemv(i8 100, i8 %conv54, i64 %m.addr.0, i64 %n.addr.0, ptr @one, ptr %a, i64 %lda, ptr %call50, ptr @zero, ptr %call51)
  call void @coenzyme_blas_dupdate_vector(i64 %n.addr.0.m.addr.0, double %alpha, ptr %call51, double %beta, ptr %y, i64 %incy)
  call void @free(ptr %call50)
  call void @free(ptr %call51)
  br label %cleanup.cont

cleanup.cont:
  ret void
}

declare i32 @numba_xxgemv(i8, i8, i64, i64, ptr, ptr, i64, ptr, ptr, ptr)

declare void @free(ptr)

define void @coenzyme_blas_dger(i32 %row, i64 %m, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a, i64 %lda) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end6, label %if.end

do.end6:
  br label %if.end

if.end:
  %incy.addr.0 = phi i64 [ %incx, %do.end6 ], [ %incy, %entry ]
  %y.addr.0 = phi ptr [ %x, %do.end6 ], [ %y, %entry ]
  %incx.addr.0 = phi i64 [ %incy, %do.end6 ], [ %incx, %entry ]
  %x.addr.0 = phi ptr [ %y, %do.end6 ], [ %x, %entry ]
  %n.addr.0 = phi i64 [ %m, %do.end6 ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end6 ], [ %m, %entry ]
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp7 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp7
  br i1 %or.cond, label %return, label %if.end9

if.end9:
  %call = call ptr @coenzyme_blas_dgather(i64 %m.addr.0, ptr %x.addr.0, i64 %incx.addr.0)
  %call10 = call ptr @coenzyme_blas_dgather(i64 %n.addr.0, ptr %y.addr.0, i64 %incy.addr.0)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end9 ], [ %inc22, %for.inc21 ]
  %cmp11 = icmp slt i64 %j.0, %n.addr.0
  br i1 %cmp11, label %for.cond12, label %for.end23

for.cond12:
  %i.0 = phi i64 [ %inc, %for.body15 ], [ 0, %for.cond ]
  %cmp13 = icmp slt i64 %i.0, %m.addr.0
  br i1 %cmp13, label %for.body15, label %for.inc21

for.body15:
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx16 = getelementptr inbounds double, ptr %call10, i64 %j.0
  %i19 = load double, ptr %arrayidx16, align 8
  %mul = fmul double %i, %i19
  %call17 = call double @coenzyme_blas_dtimes(double %alpha, double %mul)
  %mul18 = mul nsw i64 %j.0, %lda
  %add = add nsw i64 %i.0, %mul18
  %arrayidx19 = getelementptr inbounds double, ptr %a, i64 %add
  %i20 = load double, ptr %arrayidx19, align 8
  %add20 = fadd double %i20, %call17
  store double %add20, ptr %arrayidx19, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond12

for.inc21:
  %inc22 = add nsw i64 %j.0, 1
  br label %for.cond

for.end23:
  call void @free(ptr %call)
  call void @free(ptr %call10)
  br label %return

return:
  ret void
}

define i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper, i64 %n, i64 %k, i64 %lda, i64 %j) {
entry:
  switch i32 %storage, label %if.end4 [
    i32 0, label %if.then
    i32 1, label %if.then2
  ]

if.then:
  %mul = mul nsw i64 %j, %lda
  br label %return

if.then2:
  %mul3 = mul nsw i64 %j, %lda
  %sub = sub nsw i64 %mul3, %j
  %tobool = icmp ne i32 %upper, 0
  %k. = select i1 %tobool, i64 %k, i64 0
  %add = add nsw i64 %sub, %k.
  br label %return

if.end4:
  %tobool5 = icmp ne i32 %upper, 0
  br i1 %tobool5, label %cond.true6, label %cond.false9

cond.true6:
  %add7 = add nsw i64 %j, 1
  %mul8 = mul nsw i64 %j, %add7
  %div = sdiv i64 %mul8, 2
  br label %return

cond.false9:
  %mul10 = mul nsw i64 2, %n
  %sub11 = sub nsw i64 %mul10, %j
  %sub12 = sub nsw i64 %sub11, 1
  %mul13 = mul nsw i64 %j, %sub12
  %div14 = sdiv i64 %mul13, 2
  br label %return

return:
  %retval.0 = phi i64 [ %mul, %if.then ], [ %add, %if.then2 ], [ %div, %cond.true6 ], [ %div14, %cond.false9 ]
  ret i64 %retval.0
}

define i64 @coenzyme_blas_dfirst(i32 %storage, i32 %upper, i64 %k, i64 %j) {
entry:
  %tobool = icmp ne i32 %upper, 0
  br i1 %tobool, label %if.end, label %if.then

if.then:
  %add = add nsw i64 %j, 1
  br label %return

if.end:
  %cmp = icmp eq i32 %storage, 1
  %cmp1 = icmp sgt i64 %j, %k
  %or.cond = and i1 %cmp, %cmp1
  %sub = sub nsw i64 %j, %k
  %cond = select i1 %or.cond, i64 %sub, i64 0
  br label %return

return:
  %retval.0 = phi i64 [ %cond, %if.end ], [ %add, %if.then ]
  ret i64 %retval.0
}

define i64 @coenzyme_blas_dlast(i32 %storage, i32 %upper, i64 %n, i64 %k, i64 %j) {
entry:
  %tobool = icmp ne i32 %upper, 0
  br i1 %tobool, label %return, label %if.end

if.end:
  %cmp = icmp eq i32 %storage, 1
  br i1 %cmp, label %land.lhs.true, label %return

land.lhs.true:
  %add = add nsw i64 %j, %k
  %add1 = add nsw i64 %add, 1
  %cmp2 = icmp slt i64 %add1, %n
  br i1 %cmp2, label %cond.true, label %return

cond.true:
  %add3 = add nsw i64 %j, %k
  %add4 = add nsw i64 %add3, 1
  br label %return

return:
  %retval.0 = phi i64 [ %j, %entry ], [ %add4, %cond.true ], [ %n, %land.lhs.true ], [ %n, %if.end ]
  ret i64 %retval.0
}

define void @coenzyme_blas_dsymmetric_vector(i32 %storage, i32 %row, i32 %upper, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  %tobool = icmp ne i32 %row, 0
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %upper.addr.0 = select i1 %tobool, i32 %lnot.ext, i32 %upper
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end3

if.end3:
  %call = call ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %incx)
  %call4 = call ptr @coenzyme_blas_dzeros(i64 %n)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end3 ], [ %inc23, %for.end ]
  %cmp5 = icmp slt i64 %j.0, %n
  br i1 %cmp5, label %for.body, label %for.end24

for.body:
  %call6 = call i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %lda, i64 %j.0)
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %call6
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %j.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx7 = getelementptr inbounds double, ptr %add.ptr, i64 %j.0
  %i34 = load double, ptr %arrayidx7, align 8
  %mul = fmul double %i34, %i
  %call8 = call i64 @coenzyme_blas_dlast(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %j.0)
  %call9 = call i64 @coenzyme_blas_dfirst(i32 %storage, i32 %upper.addr.0, i64 %k, i64 %j.0)
  br label %for.cond10

for.cond10:
  %sum.0 = phi double [ %mul, %for.body ], [ %add19, %for.body13 ]
  %i.0 = phi i64 [ %call9, %for.body ], [ %inc, %for.body13 ]
  %cmp11 = icmp slt i64 %i.0, %call8
  br i1 %cmp11, label %for.body13, label %for.end

for.body13:
  %arrayidx14 = getelementptr inbounds double, ptr %add.ptr, i64 %i.0
  %i35 = load double, ptr %arrayidx14, align 8
  %mul15 = fmul double %i35, %i
  %arrayidx16 = getelementptr inbounds double, ptr %call4, i64 %i.0
  %i36 = load double, ptr %arrayidx16, align 8
  %add = fadd double %i36, %mul15
  store double %add, ptr %arrayidx16, align 8
  %arrayidx17 = getelementptr inbounds double, ptr %call, i64 %i.0
  %i37 = load double, ptr %arrayidx17, align 8
  %mul18 = fmul double %i35, %i37
  %add19 = fadd double %sum.0, %mul18
  %inc = add nsw i64 %i.0, 1
  br label %for.cond10

for.end:
  %arrayidx20 = getelementptr inbounds double, ptr %call4, i64 %j.0
  %i38 = load double, ptr %arrayidx20, align 8
  %add21 = fadd double %i38, %sum.0
  store double %add21, ptr %arrayidx20, align 8
  %inc23 = add nsw i64 %j.0, 1
  br label %for.cond

for.end24:
  call void @coenzyme_blas_dupdate_vector(i64 %n, double %alpha, ptr %call4, double %beta, ptr %y, i64 %incy)
  call void @free(ptr %call)
  call void @free(ptr %call4)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsymv(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  call void @coenzyme_blas_dsymmetric_vector(i32 0, i32 %row, i32 %upper, i64 %n, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy)
  ret void
}

define void @coenzyme_blas_dsbmv(i32 %row, i32 %upper, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  call void @coenzyme_blas_dsymmetric_vector(i32 1, i32 %row, i32 %upper, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy)
  ret void
}

define void @coenzyme_blas_dspmv(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %a, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  call void @coenzyme_blas_dsymmetric_vector(i32 2, i32 %row, i32 %upper, i64 %n, i64 %n, double %alpha, ptr %a, i64 %n, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy)
  ret void
}

define void @coenzyme_blas_dgbmv(i32 %row, i32 %trans, i64 %m, i64 %n, i64 %kl, i64 %ku, double %alpha, ptr %a, i64 %lda, ptr %x, i64 %incx, double %beta, ptr %y, i64 %incy) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end3, label %if.end

do.end3:
  %tobool4 = icmp ne i32 %trans, 0
  %lnot = xor i1 %tobool4, true
  %lnot.ext = zext i1 %lnot to i32
  br label %if.end

if.end:
  %ku.addr.0 = phi i64 [ %kl, %do.end3 ], [ %ku, %entry ]
  %kl.addr.0 = phi i64 [ %ku, %do.end3 ], [ %kl, %entry ]
  %n.addr.0 = phi i64 [ %m, %do.end3 ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end3 ], [ %m, %entry ]
  %trans.addr.0 = phi i32 [ %lnot.ext, %do.end3 ], [ %trans, %entry ]
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp5 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp5
  br i1 %or.cond, label %return, label %if.end7

if.end7:
  %tobool8 = icmp ne i32 %trans.addr.0, 0
  %n.addr.0.m.addr.0 = select i1 %tobool8, i64 %n.addr.0, i64 %m.addr.0
  %tobool9 = icmp ne i32 %trans.addr.0, 0
  %cond13 = select i1 %tobool9, i64 %m.addr.0, i64 %n.addr.0
  %call = call ptr @coenzyme_blas_dgather(i64 %cond13, ptr %x, i64 %incx)
  %call14 = call ptr @coenzyme_blas_dzeros(i64 %n.addr.0.m.addr.0)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end7 ], [ %inc56, %for.inc55 ]
  %cmp15 = icmp slt i64 %j.0, %n.addr.0
  br i1 %cmp15, label %for.body, label %for.end57

for.body:
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %ku.addr.0
  %idx.neg = sub i64 0, %j.0
  %add.ptr16 = getelementptr inbounds double, ptr %add.ptr, i64 %idx.neg
  %mul = mul nsw i64 %j.0, %lda
  %add.ptr17 = getelementptr inbounds double, ptr %add.ptr16, i64 %mul
  %cmp18 = icmp sgt i64 %j.0, %ku.addr.0
  %sub = sub nsw i64 %j.0, %ku.addr.0
  %cond22 = select i1 %cmp18, i64 %sub, i64 0
  %add = add nsw i64 %j.0, %kl.addr.0
  %add23 = add nsw i64 %add, 1
  %cmp24 = icmp slt i64 %add23, %m.addr.0
  %add26 = add nsw i64 %j.0, %kl.addr.0
  %add27 = add nsw i64 %add26, 1
  %cond30 = select i1 %cmp24, i64 %add27, i64 %m.addr.0
  %tobool31 = icmp ne i32 %trans.addr.0, 0
  br i1 %tobool31, label %for.cond33, label %if.else

for.cond33:
  %sum.0 = phi double [ %add39, %for.body36 ], [ 0.000000e+00, %for.body ]
  %i.0 = phi i64 [ %inc, %for.body36 ], [ %cond22, %for.body ]
  %cmp34 = icmp slt i64 %i.0, %cond30
  br i1 %cmp34, label %for.body36, label %for.end

for.body36:
  %arrayidx = getelementptr inbounds double, ptr %add.ptr17, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx37 = getelementptr inbounds double, ptr %call, i64 %i.0
  %i43 = load double, ptr %arrayidx37, align 8
  %mul38 = fmul double %i, %i43
  %add39 = fadd double %sum.0, %mul38
  %inc = add nsw i64 %i.0, 1
  br label %for.cond33

for.end:
  %arrayidx40 = getelementptr inbounds double, ptr %call14, i64 %j.0
  store double %sum.0, ptr %arrayidx40, align 8
  br label %for.inc55

if.else:
  %arrayidx41 = getelementptr inbounds double, ptr %call, i64 %j.0
  %i44 = load double, ptr %arrayidx41, align 8
  br label %for.cond43

for.cond43:
  %i42.0 = phi i64 [ %cond22, %if.else ], [ %inc52, %for.body46 ]
  %cmp44 = icmp slt i64 %i42.0, %cond30
  br i1 %cmp44, label %for.body46, label %for.inc55

for.body46:
  %arrayidx47 = getelementptr inbounds double, ptr %add.ptr17, i64 %i42.0
  %i45 = load double, ptr %arrayidx47, align 8
  %mul48 = fmul double %i45, %i44
  %arrayidx49 = getelementptr inbounds double, ptr %call14, i64 %i42.0
  %i46 = load double, ptr %arrayidx49, align 8
  %add50 = fadd double %i46, %mul48
  store double %add50, ptr %arrayidx49, align 8
  %inc52 = add nsw i64 %i42.0, 1
  br label %for.cond43

for.inc55:
  %inc56 = add nsw i64 %j.0, 1
  br label %for.cond

for.end57:
  call void @coenzyme_blas_dupdate_vector(i64 %n.addr.0.m.addr.0, double %alpha, ptr %call14, double %beta, ptr %y, i64 %incy)
  call void @free(ptr %call)
  call void @free(ptr %call14)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsymmetric_update(i32 %storage, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %a, i64 %lda) {
entry:
  %tobool = icmp ne i32 %row, 0
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %upper.addr.0 = select i1 %tobool, i32 %lnot.ext, i32 %upper
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end3

if.end3:
  %call = call ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %incx)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end3 ], [ %inc21, %for.inc20 ]
  %cmp4 = icmp slt i64 %j.0, %n
  br i1 %cmp4, label %for.body, label %for.end22

for.body:
  %call5 = call i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %n, i64 %lda, i64 %j.0)
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %call5
  %tobool6 = icmp ne i32 %upper.addr.0, 0
  %add = add nsw i64 %j.0, 1
  %cond = select i1 %tobool6, i64 %add, i64 %n
  %tobool7 = icmp ne i32 %upper.addr.0, 0
  %cond11 = select i1 %tobool7, i64 0, i64 %j.0
  br label %for.cond12

for.cond12:
  %i.0 = phi i64 [ %cond11, %for.body ], [ %inc, %for.body15 ]
  %cmp13 = icmp slt i64 %i.0, %cond
  br i1 %cmp13, label %for.body15, label %for.inc20

for.body15:
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx16 = getelementptr inbounds double, ptr %call, i64 %j.0
  %i19 = load double, ptr %arrayidx16, align 8
  %mul = fmul double %i, %i19
  %call17 = call double @coenzyme_blas_dtimes(double %alpha, double %mul)
  %arrayidx18 = getelementptr inbounds double, ptr %add.ptr, i64 %i.0
  %i20 = load double, ptr %arrayidx18, align 8
  %add19 = fadd double %i20, %call17
  store double %add19, ptr %arrayidx18, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond12

for.inc20:
  %inc21 = add nsw i64 %j.0, 1
  br label %for.cond

for.end22:
  call void @free(ptr %call)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsyr(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %a, i64 %lda) {
entry:
  call void @coenzyme_blas_dsymmetric_update(i32 0, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %a, i64 %lda)
  ret void
}

define void @coenzyme_blas_dspr(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %a) {
entry:
  call void @coenzyme_blas_dsymmetric_update(i32 2, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %a, i64 %n)
  ret void
}

define void @coenzyme_blas_dsymmetric_update2(i32 %storage, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a, i64 %lda) {
entry:
  %tobool = icmp ne i32 %row, 0
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %upper.addr.0 = select i1 %tobool, i32 %lnot.ext, i32 %upper
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end3

if.end3:
  %call = call ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %incx)
  %call4 = call ptr @coenzyme_blas_dgather(i64 %n, ptr %y, i64 %incy)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end3 ], [ %inc26, %for.inc25 ]
  %cmp5 = icmp slt i64 %j.0, %n
  br i1 %cmp5, label %for.body, label %for.end27

for.body:
  %call6 = call i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %n, i64 %lda, i64 %j.0)
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %call6
  %tobool7 = icmp ne i32 %upper.addr.0, 0
  %add = add nsw i64 %j.0, 1
  %cond = select i1 %tobool7, i64 %add, i64 %n
  %tobool8 = icmp ne i32 %upper.addr.0, 0
  %cond12 = select i1 %tobool8, i64 0, i64 %j.0
  br label %for.cond13

for.cond13:
  %i.0 = phi i64 [ %cond12, %for.body ], [ %inc, %for.body16 ]
  %cmp14 = icmp slt i64 %i.0, %cond
  br i1 %cmp14, label %for.body16, label %for.inc25

for.body16:
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx17 = getelementptr inbounds double, ptr %call4, i64 %j.0
  %i24 = load double, ptr %arrayidx17, align 8
  %mul = fmul double %i, %i24
  %arrayidx18 = getelementptr inbounds double, ptr %call4, i64 %i.0
  %i25 = load double, ptr %arrayidx18, align 8
  %arrayidx19 = getelementptr inbounds double, ptr %call, i64 %j.0
  %i26 = load double, ptr %arrayidx19, align 8
  %mul20 = fmul double %i25, %i26
  %add21 = fadd double %mul, %mul20
  %call22 = call double @coenzyme_blas_dtimes(double %alpha, double %add21)
  %arrayidx23 = getelementptr inbounds double, ptr %add.ptr, i64 %i.0
  %i27 = load double, ptr %arrayidx23, align 8
  %add24 = fadd double %i27, %call22
  store double %add24, ptr %arrayidx23, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond13

for.inc25:
  %inc26 = add nsw i64 %j.0, 1
  br label %for.cond

for.end27:
  call void @free(ptr %call)
  call void @free(ptr %call4)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsyr2(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a, i64 %lda) {
entry:
  call void @coenzyme_blas_dsymmetric_update2(i32 0, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a, i64 %lda)
  ret void
}

define void @coenzyme_blas_dspr2(i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a) {
entry:
  call void @coenzyme_blas_dsymmetric_update2(i32 2, i32 %row, i32 %upper, i64 %n, double %alpha, ptr %x, i64 %incx, ptr %y, i64 %incy, ptr %a, i64 %n)
  ret void
}

define void @coenzyme_blas_dtriangle_vector(i32 %storage, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %if.then, label %if.end

if.then:
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %trans, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %trans.addr.0 = phi i32 [ %lnot.ext4, %if.then ], [ %trans, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext, %if.then ], [ %upper, %entry ]
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end6

if.end6:
  %call = call ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %incx)
  %call7 = call ptr @coenzyme_blas_dzeros(i64 %n)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end6 ], [ %inc39, %if.end35 ]
  %cmp8 = icmp slt i64 %j.0, %n
  br i1 %cmp8, label %for.body, label %for.end40

for.body:
  %call9 = call i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %lda, i64 %j.0)
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %call9
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %j.0
  %i = load double, ptr %arrayidx, align 8
  %tobool10 = icmp ne i32 %unit, 0
  br i1 %tobool10, label %cond.end, label %cond.false

cond.false:
  %arrayidx11 = getelementptr inbounds double, ptr %add.ptr, i64 %j.0
  %i42 = load double, ptr %arrayidx11, align 8
  %mul = fmul double %i42, %i
  br label %cond.end

cond.end:
  %cond = phi double [ %mul, %cond.false ], [ %i, %for.body ]
  %call12 = call i64 @coenzyme_blas_dfirst(i32 %storage, i32 %upper.addr.0, i64 %k, i64 %j.0)
  %call13 = call i64 @coenzyme_blas_dlast(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %j.0)
  %tobool14 = icmp ne i32 %trans.addr.0, 0
  br i1 %tobool14, label %for.cond16, label %for.cond24

for.cond16:
  %sum.0 = phi double [ %add, %for.body19 ], [ %cond, %cond.end ]
  %i.0 = phi i64 [ %inc, %for.body19 ], [ %call12, %cond.end ]
  %cmp17 = icmp slt i64 %i.0, %call13
  br i1 %cmp17, label %for.body19, label %if.end35

for.body19:
  %arrayidx20 = getelementptr inbounds double, ptr %add.ptr, i64 %i.0
  %i43 = load double, ptr %arrayidx20, align 8
  %arrayidx21 = getelementptr inbounds double, ptr %call, i64 %i.0
  %i44 = load double, ptr %arrayidx21, align 8
  %mul22 = fmul double %i43, %i44
  %add = fadd double %sum.0, %mul22
  %inc = add nsw i64 %i.0, 1
  br label %for.cond16

for.cond24:
  %i23.0 = phi i64 [ %inc33, %for.body27 ], [ %call12, %cond.end ]
  %cmp25 = icmp slt i64 %i23.0, %call13
  br i1 %cmp25, label %for.body27, label %if.end35

for.body27:
  %arrayidx28 = getelementptr inbounds double, ptr %add.ptr, i64 %i23.0
  %i45 = load double, ptr %arrayidx28, align 8
  %mul29 = fmul double %i45, %i
  %arrayidx30 = getelementptr inbounds double, ptr %call7, i64 %i23.0
  %i46 = load double, ptr %arrayidx30, align 8
  %add31 = fadd double %i46, %mul29
  store double %add31, ptr %arrayidx30, align 8
  %inc33 = add nsw i64 %i23.0, 1
  br label %for.cond24

if.end35:
  %sum.1 = phi double [ %sum.0, %for.cond16 ], [ %cond, %for.cond24 ]
  %arrayidx36 = getelementptr inbounds double, ptr %call7, i64 %j.0
  %i47 = load double, ptr %arrayidx36, align 8
  %add37 = fadd double %i47, %sum.1
  store double %add37, ptr %arrayidx36, align 8
  %inc39 = add nsw i64 %j.0, 1
  br label %for.cond

for.end40:
  call void @coenzyme_blas_dscatter(i64 %n, ptr %call7, ptr %x, i64 %incx)
  call void @free(ptr %call)
  call void @free(ptr %call7)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dtrmv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dtriangle_vector(i32 0, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %n, ptr %a, i64 %lda, ptr %x, i64 %incx)
  ret void
}

define void @coenzyme_blas_dtbmv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dtriangle_vector(i32 1, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx)
  ret void
}

define void @coenzyme_blas_dtpmv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, ptr %a, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dtriangle_vector(i32 2, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %n, ptr %a, i64 %n, ptr %x, i64 %incx)
  ret void
}

define void @coenzyme_blas_dsolve_vector(i32 %storage, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %if.then, label %if.end

if.then:
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %trans, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %trans.addr.0 = phi i32 [ %lnot.ext4, %if.then ], [ %trans, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext, %if.then ], [ %upper, %entry ]
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end6

if.end6:
  %call = call ptr @coenzyme_blas_dgather(i64 %n, ptr %x, i64 %incx)
  %call7 = call ptr @coenzyme_blas_dscratch(i64 %n)
  %cmp8 = icmp ne i32 %upper.addr.0, %trans.addr.0
  %sub = sub nsw i64 %n, 1
  %spec.select = select i1 %cmp8, i64 -1, i64 1
  %spec.select46 = select i1 %cmp8, i64 %sub, i64 0
  br label %for.cond

for.cond:
  %l.0 = phi i64 [ 0, %if.end6 ], [ %inc47, %for.inc46 ]
  %cmp11 = icmp slt i64 %l.0, %n
  br i1 %cmp11, label %for.body, label %for.end48

for.body:
  %mul = mul nsw i64 %l.0, %spec.select
  %add = add nsw i64 %spec.select46, %mul
  %call12 = call i64 @coenzyme_blas_dfirst(i32 %storage, i32 %upper.addr.0, i64 %k, i64 %add)
  %call13 = call i64 @coenzyme_blas_dlast(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %add)
  %call14 = call i64 @coenzyme_blas_dcolumn(i32 %storage, i32 %upper.addr.0, i64 %n, i64 %k, i64 %lda, i64 %add)
  %add.ptr = getelementptr inbounds double, ptr %a, i64 %call14
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %tobool15 = icmp ne i32 %trans.addr.0, 0
  br i1 %tobool15, label %for.cond17, label %if.end25

for.cond17:
  %known.1 = phi double [ %sub24, %for.body20 ], [ %i, %for.body ]
  %i.0 = phi i64 [ %inc, %for.body20 ], [ %call12, %for.body ]
  %cmp18 = icmp slt i64 %i.0, %call13
  br i1 %cmp18, label %for.body20, label %if.end25

for.body20:
  %arrayidx21 = getelementptr inbounds double, ptr %add.ptr, i64 %i.0
  %i47 = load double, ptr %arrayidx21, align 8
  %arrayidx22 = getelementptr inbounds double, ptr %call7, i64 %i.0
  %i48 = load double, ptr %arrayidx22, align 8
  %mul23 = fmul double %i47, %i48
  %sub24 = fsub double %known.1, %mul23
  %inc = add nsw i64 %i.0, 1
  br label %for.cond17

if.end25:
  %known.0 = phi double [ %i, %for.body ], [ %known.1, %for.cond17 ]
  %tobool26 = icmp ne i32 %unit, 0
  br i1 %tobool26, label %if.end29, label %if.then27

if.then27:
  %arrayidx28 = getelementptr inbounds double, ptr %add.ptr, i64 %add
  %i49 = load double, ptr %arrayidx28, align 8
  %div = fdiv double %known.0, %i49
  br label %if.end29

if.end29:
  %known.2 = phi double [ %known.0, %if.end25 ], [ %div, %if.then27 ]
  %arrayidx30 = getelementptr inbounds double, ptr %call7, i64 %add
  store double %known.2, ptr %arrayidx30, align 8
  %tobool31 = icmp ne i32 %trans.addr.0, 0
  br i1 %tobool31, label %for.inc46, label %for.cond34

for.cond34:
  %i33.0 = phi i64 [ %inc43, %for.body37 ], [ %call12, %if.end29 ]
  %cmp35 = icmp slt i64 %i33.0, %call13
  br i1 %cmp35, label %for.body37, label %for.inc46

for.body37:
  %arrayidx38 = getelementptr inbounds double, ptr %add.ptr, i64 %i33.0
  %i50 = load double, ptr %arrayidx38, align 8
  %mul39 = fmul double %i50, %known.2
  %arrayidx40 = getelementptr inbounds double, ptr %call, i64 %i33.0
  %i51 = load double, ptr %arrayidx40, align 8
  %sub41 = fsub double %i51, %mul39
  store double %sub41, ptr %arrayidx40, align 8
  %inc43 = add nsw i64 %i33.0, 1
  br label %for.cond34

for.inc46:
  %inc47 = add nsw i64 %l.0, 1
  br label %for.cond

for.end48:
  call void @coenzyme_blas_dscatter(i64 %n, ptr %call7, ptr %x, i64 %incx)
  call void @free(ptr %call)
  call void @free(ptr %call7)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dtrsv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dsolve_vector(i32 0, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %n, ptr %a, i64 %lda, ptr %x, i64 %incx)
  ret void
}

define void @coenzyme_blas_dtbsv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dsolve_vector(i32 1, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %k, ptr %a, i64 %lda, ptr %x, i64 %incx)
  ret void
}

define void @coenzyme_blas_dtpsv(i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, ptr %a, ptr %x, i64 %incx) {
entry:
  call void @coenzyme_blas_dsolve_vector(i32 2, i32 %row, i32 %upper, i32 %trans, i32 %unit, i64 %n, i64 %n, ptr %a, i64 %n, ptr %x, i64 %incx)
  ret void
}

define ptr @coenzyme_blas_dlower(i64 %n, ptr %a, i64 %lda, i32 %trans, i32 %turned, i32 %unit) {
entry:
  %mul = mul nsw i64 %n, %n
  %call = call ptr @coenzyme_blas_dscratch(i64 %mul)
  %tobool = icmp ne i32 %trans, 0
  %lda. = select i1 %tobool, i64 %lda, i64 1
  %tobool1 = icmp ne i32 %trans, 0
  %cond5 = select i1 %tobool1, i64 1, i64 %lda
  %tobool6 = icmp ne i32 %turned, 0
  br i1 %tobool6, label %if.then, label %if.end

if.then:
  %sub = sub nsw i64 %n, 1
  %add = add nsw i64 %lda., %cond5
  %mul7 = mul nsw i64 %sub, %add
  %sub8 = sub nsw i64 0, %lda.
  %sub9 = sub nsw i64 0, %cond5
  br label %if.end

if.end:
  %down.0 = phi i64 [ %sub8, %if.then ], [ %lda., %entry ]
  %across.0 = phi i64 [ %sub9, %if.then ], [ %cond5, %entry ]
  %first.0 = phi i64 [ %mul7, %if.then ], [ 0, %entry ]
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end ], [ %inc35, %for.inc34 ]
  %cmp = icmp slt i64 %j.0, %n
  br i1 %cmp, label %for.body, label %for.end36

for.body:
  %tobool10 = icmp ne i32 %unit, 0
  br i1 %tobool10, label %cond.end16, label %cond.false12

cond.false12:
  %add13 = add nsw i64 %down.0, %across.0
  %mul14 = mul nsw i64 %j.0, %add13
  %add15 = add nsw i64 %first.0, %mul14
  %arrayidx = getelementptr inbounds double, ptr %a, i64 %add15
  %i = load double, ptr %arrayidx, align 8
  br label %cond.end16

cond.end16:
  %cond17 = phi double [ %i, %cond.false12 ], [ 1.000000e+00, %for.body ]
  %mul18 = mul nsw i64 %j.0, %n
  %add19 = add nsw i64 %j.0, %mul18
  %arrayidx20 = getelementptr inbounds double, ptr %call, i64 %add19
  store double %cond17, ptr %arrayidx20, align 8
  %add21 = add nsw i64 %j.0, 1
  br label %for.cond22

for.cond22:
  %i.0 = phi i64 [ %add21, %cond.end16 ], [ %inc, %for.body25 ]
  %cmp23 = icmp slt i64 %i.0, %n
  br i1 %cmp23, label %for.body25, label %for.inc34

for.body25:
  %mul26 = mul nsw i64 %i.0, %down.0
  %add27 = add nsw i64 %first.0, %mul26
  %mul28 = mul nsw i64 %j.0, %across.0
  %add29 = add nsw i64 %add27, %mul28
  %arrayidx30 = getelementptr inbounds double, ptr %a, i64 %add29
  %i29 = load double, ptr %arrayidx30, align 8
  %mul31 = mul nsw i64 %j.0, %n
  %add32 = add nsw i64 %i.0, %mul31
  %arrayidx33 = getelementptr inbounds double, ptr %call, i64 %add32
  store double %i29, ptr %arrayidx33, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond22

for.inc34:
  %inc35 = add nsw i64 %j.0, 1
  br label %for.cond

for.end36:
  ret ptr %call
}

define void @coenzyme_blas_dsolve(i64 %n, i64 %columns, ptr %triangle, ptr %x) {
entry:
  br label %for.cond

for.cond:
  %start.0 = phi i64 [ 0, %entry ], [ %add44, %for.inc43 ]
  %cmp = icmp slt i64 %start.0, %n
  br i1 %cmp, label %for.body, label %for.end45

for.body:
  %add = add nsw i64 %start.0, 16
  %cmp1 = icmp slt i64 %add, %n
  %add2 = add nsw i64 %start.0, 16
  %cond = select i1 %cmp1, i64 %add2, i64 %n
  br label %for.cond3

for.cond3:
  %j.0 = phi i64 [ 0, %for.body ], [ %inc34, %for.inc33 ]
  %cmp4 = icmp slt i64 %j.0, %columns
  br i1 %cmp4, label %for.cond7, label %for.end35

for.cond7:
  %k.0 = phi i64 [ %inc31, %for.inc30 ], [ %start.0, %for.cond3 ]
  %cmp8 = icmp slt i64 %k.0, %cond
  br i1 %cmp8, label %for.body10, label %for.inc33

for.body10:
  %mul = mul nsw i64 %j.0, %n
  %add11 = add nsw i64 %k.0, %mul
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %add11
  %i = load double, ptr %arrayidx, align 8
  %mul12 = mul nsw i64 %k.0, %n
  %add13 = add nsw i64 %k.0, %mul12
  %arrayidx14 = getelementptr inbounds double, ptr %triangle, i64 %add13
  %i49 = load double, ptr %arrayidx14, align 8
  %div = fdiv double %i, %i49
  %mul15 = mul nsw i64 %j.0, %n
  %add16 = add nsw i64 %k.0, %mul15
  %arrayidx17 = getelementptr inbounds double, ptr %x, i64 %add16
  store double %div, ptr %arrayidx17, align 8
  %add18 = add nsw i64 %k.0, 1
  br label %for.cond19

for.cond19:
  %i.0 = phi i64 [ %add18, %for.body10 ], [ %inc, %for.body22 ]
  %cmp20 = icmp slt i64 %i.0, %cond
  br i1 %cmp20, label %for.body22, label %for.inc30

for.body22:
  %mul23 = mul nsw i64 %k.0, %n
  %add24 = add nsw i64 %i.0, %mul23
  %arrayidx25 = getelementptr inbounds double, ptr %triangle, i64 %add24
  %i50 = load double, ptr %arrayidx25, align 8
  %mul26 = fmul double %i50, %div
  %mul27 = mul nsw i64 %j.0, %n
  %add28 = add nsw i64 %i.0, %mul27
  %arrayidx29 = getelementptr inbounds double, ptr %x, i64 %add28
  %i51 = load double, ptr %arrayidx29, align 8
  %sub = fsub double %i51, %mul26
  store double %sub, ptr %arrayidx29, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond19

for.inc30:
  %inc31 = add nsw i64 %k.0, 1
  br label %for.cond7

for.inc33:
  %inc34 = add nsw i64 %j.0, 1
  br label %for.cond3

for.end35:
  %cmp36 = icmp slt i64 %cond, %n
  br i1 %cmp36, label %if.then, label %for.inc43

if.then:
  %sub37 = sub nsw i64 %n, %cond
  %sub38 = sub nsw i64 %cond, %start.0
  %add.ptr = getelementptr inbounds double, ptr %triangle, i64 %cond
  %mul39 = mul nsw i64 %start.0, %n
  %add.ptr40 = getelementptr inbounds double, ptr %add.ptr, i64 %mul39
  %add.ptr41 = getelementptr inbounds double, ptr %x, i64 %start.0
  %add.ptr42 = getelementptr inbounds double, ptr %x, i64 %cond
  %call = call i32 @numba_xxgemm(i8 100, i8 110, i8 110, i64 %sub37, i64 %columns, i64 %sub38, ptr @minus_one, ptr %add.ptr40, i64 %n, ptr %add.ptr41, i64 %n, ptr @one, ptr %add.ptr42, i64 %n)
  br label %for.inc43

for.inc43:
  %add44 = add nsw i64 %start.0, 16
  br label %for.cond

for.end45:
  ret void
}

declare i32 @numba_xxgemm(i8, i8, i8, i64, i64, i64, ptr, ptr, i64, ptr, i64, ptr, ptr, i64)

define void @coenzyme_blas_dproduct(i32 %transa, i32 %transb, i64 %m, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, double %beta, ptr %c, i64 %ldc) {
entry:
  %cmp = icmp sle i64 %m, 0
  %cmp1 = icmp sle i64 %n, 0
  %or.cond = or i1 %cmp, %cmp1
  br i1 %or.cond, label %cleanup.cont, label %if.end

if.end:
  %cmp2 = icmp slt i64 %k, 0
  %spec.select = select i1 %cmp2, i64 0, i64 %k
  %tobool = icmp ne i32 %transa, 0
  %i = zext i1 %tobool to i64
  %cond = select i1 %tobool, i32 116, i32 110
  %conv = trunc i32 %cond to i8
  %tobool5 = icmp ne i32 %transb, 0
  %i80 = zext i1 %tobool5 to i64
  %cond6 = select i1 %tobool5, i32 116, i32 110
  %conv7 = trunc i32 %cond6 to i8
  %i81 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp8 = fcmp oeq double %alpha, 1.000000e+00
  %or.cond72 = and i1 %i81, %cmp8
  br i1 %or.cond72, label %land.lhs.true10, label %if.end15

land.lhs.true10:
  %i82 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp12 = fcmp oeq double %beta, 0.000000e+00
  %or.cond73 = and i1 %i82, %cmp12
  br i1 %or.cond73, label %if.then14, label %if.end15

if.then14:
  %call = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv7, i64 %m, i64 %n, i64 %spec.select, ptr @one, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr @zero, ptr %c, i64 %ldc)
  br label %cleanup.cont

if.end15:
  %i83 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp17 = fcmp oeq double %alpha, 1.000000e+00
  %or.cond74 = and i1 %i83, %cmp17
  br i1 %or.cond74, label %land.lhs.true19, label %if.end25

land.lhs.true19:
  %i84 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp21 = fcmp oeq double %beta, 1.000000e+00
  %or.cond75 = and i1 %i84, %cmp21
  br i1 %or.cond75, label %if.then23, label %if.end25

if.then23:
  %call24 = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv7, i64 %m, i64 %n, i64 %spec.select, ptr @one, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr @one, ptr %c, i64 %ldc)
  br label %cleanup.cont

if.end25:
  %i85 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp27 = fcmp oeq double %alpha, -1.000000e+00
  %or.cond76 = and i1 %i85, %cmp27
  br i1 %or.cond76, label %land.lhs.true29, label %if.end35

land.lhs.true29:
  %i86 = call i1 @llvm.is.constant.f64(double %beta)
  %cmp31 = fcmp oeq double %beta, 1.000000e+00
  %or.cond77 = and i1 %i86, %cmp31
  br i1 %or.cond77, label %if.then33, label %if.end35

if.then33:
  %call34 = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv7, i64 %m, i64 %n, i64 %spec.select, ptr @minus_one, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr @one, ptr %c, i64 %ldc)
  br label %cleanup.cont

if.end35:
  %i87 = call i1 @llvm.is.constant.f64(double %alpha)
  %cmp37 = fcmp oeq double %alpha, 0.000000e+00
  %or.cond78 = and i1 %i87, %cmp37
  %k.addr.1 = select i1 %or.cond78, i64 0, i64 %spec.select
  %mul = mul nsw i64 %m, %n
  %call41 = call ptr @coenzyme_blas_dscratch(i64 %mul)
  %cmp42 = fcmp oeq double %alpha, 0.000000e+00
  br i1 %cmp42, label %land.lhs.true44, label %cond.false

land.lhs.true44:
  %tobool45 = icmp ne ptr %a, null
  %tobool47 = icmp ne ptr %b, null
  %or.cond79 = and i1 %tobool45, %tobool47
  br i1 %or.cond79, label %cond.false, label %cond.end

cond.false:
  br label %cond.end

cond.end:
  %cond48 = phi i64 [ %k.addr.1, %cond.false ], [ 0, %land.lhs.true44 ]
  %call49 = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv7, i64 %m, i64 %n, i64 %cond48, ptr @one, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr @zero, ptr %call41, i64 %m)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %cond.end ], [ %inc66, %for.inc65 ]
  %cmp50 = icmp slt i64 %j.0, %n
  br i1 %cmp50, label %for.cond52, label %for.end67

for.cond52:
  %i.0 = phi i64 [ %inc, %for.body56 ], [ 0, %for.cond ]
  %cmp53 = icmp slt i64 %i.0, %m
  br i1 %cmp53, label %for.body56, label %for.inc65

for.body56:
  %mul57 = mul nsw i64 %j.0, %m
  %add = add nsw i64 %i.0, %mul57
  %arrayidx = getelementptr inbounds double, ptr %call41, i64 %add
  %i88 = load double, ptr %arrayidx, align 8
  %mul58 = mul nsw i64 %j.0, %ldc
  %add59 = add nsw i64 %i.0, %mul58
  %arrayidx60 = getelementptr inbounds double, ptr %c, i64 %add59
  %call61 = call double @coenzyme_blas_dupdated(double %alpha, double %i88, double %beta, ptr %arrayidx60)
  %mul62 = mul nsw i64 %j.0, %ldc
  %add63 = add nsw i64 %i.0, %mul62
  %arrayidx64 = getelementptr inbounds double, ptr %c, i64 %add63
  store double %call61, ptr %arrayidx64, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond52

for.inc65:
  %inc66 = add nsw i64 %j.0, 1
  br label %for.cond

for.end67:
  call void @free(ptr %call41)
  br label %cleanup.cont

cleanup.cont:
  ret void
}

define void @coenzyme_blas_dgemm(i32 %row, i32 %transa, i32 %transb, i64 %m, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, double %beta, ptr %c, i64 %ldc) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end9, label %if.end

do.end9:
  br label %if.end

if.end:
  %ldb.addr.0 = phi i64 [ %lda, %do.end9 ], [ %ldb, %entry ]
  %b.addr.0 = phi ptr [ %a, %do.end9 ], [ %b, %entry ]
  %lda.addr.0 = phi i64 [ %ldb, %do.end9 ], [ %lda, %entry ]
  %a.addr.0 = phi ptr [ %b, %do.end9 ], [ %a, %entry ]
  %n.addr.0 = phi i64 [ %m, %do.end9 ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end9 ], [ %m, %entry ]
  %transb.addr.0 = phi i32 [ %transa, %do.end9 ], [ %transb, %entry ]
  %transa.addr.0 = phi i32 [ %transb, %do.end9 ], [ %transa, %entry ]
  call void @coenzyme_blas_dproduct(i32 %transa.addr.0, i32 %transb.addr.0, i64 %m.addr.0, i64 %n.addr.0, i64 %k, double %alpha, ptr %a.addr.0, i64 %lda.addr.0, ptr %b.addr.0, i64 %ldb.addr.0, double %beta, ptr %c, i64 %ldc)
  ret void
}

define void @coenzyme_blas_dsymm(i32 %row, i32 %right, i32 %upper, i64 %m, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, double %beta, ptr %c, i64 %ldc) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end, label %if.end

do.end:
  %tobool1 = icmp ne i32 %right, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %upper, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %n.addr.0 = phi i64 [ %m, %do.end ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end ], [ %m, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext4, %do.end ], [ %upper, %entry ]
  %right.addr.0 = phi i32 [ %lnot.ext, %do.end ], [ %right, %entry ]
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp5 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp5
  br i1 %or.cond, label %return, label %if.end7

if.end7:
  %tobool8 = icmp ne i32 %right.addr.0, 0
  %n.addr.0.m.addr.0 = select i1 %tobool8, i64 %n.addr.0, i64 %m.addr.0
  %tobool9 = icmp ne i32 %upper.addr.0, 0
  %cond13 = select i1 %tobool9, i64 %lda, i64 1
  %tobool14 = icmp ne i32 %upper.addr.0, 0
  %cond18 = select i1 %tobool14, i64 1, i64 %lda
  %mul = mul nsw i64 %n.addr.0.m.addr.0, %n.addr.0.m.addr.0
  %call = call ptr @coenzyme_blas_dscratch(i64 %mul)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end7 ], [ %inc40, %for.inc39 ]
  %cmp19 = icmp slt i64 %j.0, %n.addr.0.m.addr.0
  br i1 %cmp19, label %for.body, label %for.end41

for.body:
  %mul20 = mul nsw i64 %j.0, %lda
  %add = add nsw i64 %j.0, %mul20
  %arrayidx = getelementptr inbounds double, ptr %a, i64 %add
  %i = load double, ptr %arrayidx, align 8
  %mul21 = mul nsw i64 %j.0, %n.addr.0.m.addr.0
  %add22 = add nsw i64 %j.0, %mul21
  %arrayidx23 = getelementptr inbounds double, ptr %call, i64 %add22
  store double %i, ptr %arrayidx23, align 8
  %add24 = add nsw i64 %j.0, 1
  br label %for.cond25

for.cond25:
  %i.0 = phi i64 [ %add24, %for.body ], [ %inc, %for.body28 ]
  %cmp26 = icmp slt i64 %i.0, %n.addr.0.m.addr.0
  br i1 %cmp26, label %for.body28, label %for.inc39

for.body28:
  %mul29 = mul nsw i64 %i.0, %cond13
  %mul30 = mul nsw i64 %j.0, %cond18
  %add31 = add nsw i64 %mul29, %mul30
  %arrayidx32 = getelementptr inbounds double, ptr %a, i64 %add31
  %i51 = load double, ptr %arrayidx32, align 8
  %mul33 = mul nsw i64 %j.0, %n.addr.0.m.addr.0
  %add34 = add nsw i64 %i.0, %mul33
  %arrayidx35 = getelementptr inbounds double, ptr %call, i64 %add34
  store double %i51, ptr %arrayidx35, align 8
  %mul36 = mul nsw i64 %i.0, %n.addr.0.m.addr.0
  %add37 = add nsw i64 %j.0, %mul36
  %arrayidx38 = getelementptr inbounds double, ptr %call, i64 %add37
  store double %i51, ptr %arrayidx38, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond25

for.inc39:
  %inc40 = add nsw i64 %j.0, 1
  br label %for.cond

for.end41:
  %tobool42 = icmp ne i32 %right.addr.0, 0
  br i1 %tobool42, label %if.then43, label %if.else

if.then43:
  call void @coenzyme_blas_dproduct(i32 0, i32 0, i64 %m.addr.0, i64 %n.addr.0, i64 %n.addr.0, double %alpha, ptr %b, i64 %ldb, ptr %call, i64 %n.addr.0.m.addr.0, double %beta, ptr %c, i64 %ldc)
  br label %if.end44

if.else:
  call void @coenzyme_blas_dproduct(i32 0, i32 0, i64 %m.addr.0, i64 %n.addr.0, i64 %m.addr.0, double %alpha, ptr %call, i64 %n.addr.0.m.addr.0, ptr %b, i64 %ldb, double %beta, ptr %c, i64 %ldc)
  br label %if.end44

if.end44:
  call void @free(ptr %call)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsyrk(i32 %row, i32 %upper, i32 %trans, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, double %beta, ptr %c, i64 %ldc) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %if.then, label %if.end

if.then:
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %trans, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %trans.addr.0 = phi i32 [ %lnot.ext4, %if.then ], [ %trans, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext, %if.then ], [ %upper, %entry ]
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end6

if.end6:
  %cmp7 = icmp slt i64 %k, 0
  br i1 %cmp7, label %if.then10, label %lor.lhs.false

lor.lhs.false:
  %cmp8 = fcmp une double %alpha, 0.000000e+00
  %tobool9 = icmp ne ptr %a, null
  %or.cond = or i1 %cmp8, %tobool9
  br i1 %or.cond, label %if.end11, label %if.then10

if.then10:
  br label %if.end11

if.end11:
  %k.addr.0 = phi i64 [ 0, %if.then10 ], [ %k, %lor.lhs.false ]
  %mul = mul nsw i64 %n, %n
  %call = call ptr @coenzyme_blas_dscratch(i64 %mul)
  %tobool12 = icmp ne i32 %trans.addr.0, 0
  %i = zext i1 %tobool12 to i64
  %cond = select i1 %tobool12, i32 116, i32 110
  %conv = trunc i32 %cond to i8
  %tobool13 = icmp ne i32 %trans.addr.0, 0
  %i32 = zext i1 %tobool13 to i64
  %cond14 = select i1 %tobool13, i32 110, i32 116
  %conv15 = trunc i32 %cond14 to i8
  %call16 = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv15, i64 %n, i64 %n, i64 %k.addr.0, ptr @one, ptr %a, i64 %lda, ptr %a, i64 %lda, ptr @zero, ptr %call, i64 %n)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end11 ], [ %inc41, %for.inc40 ]
  %cmp17 = icmp slt i64 %j.0, %n
  br i1 %cmp17, label %for.body, label %for.end42

for.body:
  %tobool19 = icmp ne i32 %upper.addr.0, 0
  %add = add nsw i64 %j.0, 1
  %cond20 = select i1 %tobool19, i64 %add, i64 %n
  %tobool21 = icmp ne i32 %upper.addr.0, 0
  %cond25 = select i1 %tobool21, i64 0, i64 %j.0
  br label %for.cond26

for.cond26:
  %i.0 = phi i64 [ %cond25, %for.body ], [ %inc, %for.body30 ]
  %cmp27 = icmp slt i64 %i.0, %cond20
  br i1 %cmp27, label %for.body30, label %for.inc40

for.body30:
  %mul31 = mul nsw i64 %j.0, %n
  %add32 = add nsw i64 %i.0, %mul31
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %add32
  %i33 = load double, ptr %arrayidx, align 8
  %mul33 = mul nsw i64 %j.0, %ldc
  %add34 = add nsw i64 %i.0, %mul33
  %arrayidx35 = getelementptr inbounds double, ptr %c, i64 %add34
  %call36 = call double @coenzyme_blas_dupdated(double %alpha, double %i33, double %beta, ptr %arrayidx35)
  %mul37 = mul nsw i64 %j.0, %ldc
  %add38 = add nsw i64 %i.0, %mul37
  %arrayidx39 = getelementptr inbounds double, ptr %c, i64 %add38
  store double %call36, ptr %arrayidx39, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond26

for.inc40:
  %inc41 = add nsw i64 %j.0, 1
  br label %for.cond

for.end42:
  call void @free(ptr %call)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dsyr2k(i32 %row, i32 %upper, i32 %trans, i64 %n, i64 %k, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, double %beta, ptr %c, i64 %ldc) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %if.then, label %if.end

if.then:
  %tobool1 = icmp ne i32 %upper, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %trans, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %trans.addr.0 = phi i32 [ %lnot.ext4, %if.then ], [ %trans, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext, %if.then ], [ %upper, %entry ]
  %cmp = icmp sle i64 %n, 0
  br i1 %cmp, label %return, label %if.end6

if.end6:
  %cmp7 = icmp slt i64 %k, 0
  br i1 %cmp7, label %if.then12, label %lor.lhs.false

lor.lhs.false:
  %cmp8 = fcmp oeq double %alpha, 0.000000e+00
  br i1 %cmp8, label %land.lhs.true, label %if.end13

land.lhs.true:
  %tobool9 = icmp ne ptr %a, null
  %tobool11 = icmp ne ptr %b, null
  %or.cond = and i1 %tobool9, %tobool11
  br i1 %or.cond, label %if.end13, label %if.then12

if.then12:
  br label %if.end13

if.end13:
  %k.addr.0 = phi i64 [ 0, %if.then12 ], [ %k, %land.lhs.true ], [ %k, %lor.lhs.false ]
  %mul = mul nsw i64 %n, %n
  %call = call ptr @coenzyme_blas_dscratch(i64 %mul)
  %tobool14 = icmp ne i32 %trans.addr.0, 0
  %i = zext i1 %tobool14 to i64
  %cond = select i1 %tobool14, i32 116, i32 110
  %conv = trunc i32 %cond to i8
  %tobool15 = icmp ne i32 %trans.addr.0, 0
  %i35 = zext i1 %tobool15 to i64
  %cond16 = select i1 %tobool15, i32 110, i32 116
  %conv17 = trunc i32 %cond16 to i8
  %call18 = call i32 @numba_xxgemm(i8 100, i8 %conv, i8 %conv17, i64 %n, i64 %n, i64 %k.addr.0, ptr @one, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr @zero, ptr %call, i64 %n)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end13 ], [ %inc47, %for.inc46 ]
  %cmp19 = icmp slt i64 %j.0, %n
  br i1 %cmp19, label %for.body, label %for.end48

for.body:
  %tobool21 = icmp ne i32 %upper.addr.0, 0
  %add = add nsw i64 %j.0, 1
  %cond22 = select i1 %tobool21, i64 %add, i64 %n
  %tobool23 = icmp ne i32 %upper.addr.0, 0
  %cond27 = select i1 %tobool23, i64 0, i64 %j.0
  br label %for.cond28

for.cond28:
  %i.0 = phi i64 [ %cond27, %for.body ], [ %inc, %for.body32 ]
  %cmp29 = icmp slt i64 %i.0, %cond22
  br i1 %cmp29, label %for.body32, label %for.inc46

for.body32:
  %mul33 = mul nsw i64 %j.0, %n
  %add34 = add nsw i64 %i.0, %mul33
  %arrayidx = getelementptr inbounds double, ptr %call, i64 %add34
  %i36 = load double, ptr %arrayidx, align 8
  %mul35 = mul nsw i64 %i.0, %n
  %add36 = add nsw i64 %j.0, %mul35
  %arrayidx37 = getelementptr inbounds double, ptr %call, i64 %add36
  %i37 = load double, ptr %arrayidx37, align 8
  %add38 = fadd double %i36, %i37
  %mul39 = mul nsw i64 %j.0, %ldc
  %add40 = add nsw i64 %i.0, %mul39
  %arrayidx41 = getelementptr inbounds double, ptr %c, i64 %add40
  %call42 = call double @coenzyme_blas_dupdated(double %alpha, double %add38, double %beta, ptr %arrayidx41)
  %mul43 = mul nsw i64 %j.0, %ldc
  %add44 = add nsw i64 %i.0, %mul43
  %arrayidx45 = getelementptr inbounds double, ptr %c, i64 %add44
  store double %call42, ptr %arrayidx45, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond28

for.inc46:
  %inc47 = add nsw i64 %j.0, 1
  br label %for.cond

for.end48:
  call void @free(ptr %call)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dtrmm(i32 %row, i32 %right, i32 %upper, i32 %trans, i32 %unit, i64 %m, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end, label %if.end

do.end:
  %tobool1 = icmp ne i32 %right, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %upper, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %n.addr.0 = phi i64 [ %m, %do.end ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end ], [ %m, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext4, %do.end ], [ %upper, %entry ]
  %right.addr.0 = phi i32 [ %lnot.ext, %do.end ], [ %right, %entry ]
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp5 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp5
  br i1 %or.cond, label %return, label %if.end7

if.end7:
  %tobool8 = icmp ne i32 %right.addr.0, 0
  %n.addr.0.m.addr.0 = select i1 %tobool8, i64 %n.addr.0, i64 %m.addr.0
  %mul = mul nsw i64 %n.addr.0.m.addr.0, %n.addr.0.m.addr.0
  %call = call ptr @coenzyme_blas_dzeros(i64 %mul)
  %mul9 = mul nsw i64 %m.addr.0, %n.addr.0
  %call10 = call ptr @coenzyme_blas_dscratch(i64 %mul9)
  %mul11 = mul nsw i64 %m.addr.0, %n.addr.0
  %call12 = call ptr @coenzyme_blas_dscratch(i64 %mul11)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end7 ], [ %inc45, %cond.end39 ]
  %cmp13 = icmp slt i64 %j.0, %n.addr.0.m.addr.0
  br i1 %cmp13, label %for.body, label %for.cond48

for.body:
  %tobool14 = icmp ne i32 %upper.addr.0, 0
  %j.0.n.addr.0.m.addr.0 = select i1 %tobool14, i64 %j.0, i64 %n.addr.0.m.addr.0
  %tobool19 = icmp ne i32 %upper.addr.0, 0
  %add = add nsw i64 %j.0, 1
  %cond23 = select i1 %tobool19, i64 0, i64 %add
  br label %for.cond24

for.cond24:
  %i.0 = phi i64 [ %cond23, %for.body ], [ %inc, %for.body27 ]
  %cmp25 = icmp slt i64 %i.0, %j.0.n.addr.0.m.addr.0
  br i1 %cmp25, label %for.body27, label %for.end

for.body27:
  %mul28 = mul nsw i64 %j.0, %lda
  %add29 = add nsw i64 %i.0, %mul28
  %arrayidx = getelementptr inbounds double, ptr %a, i64 %add29
  %i = load double, ptr %arrayidx, align 8
  %mul30 = mul nsw i64 %j.0, %n.addr.0.m.addr.0
  %add31 = add nsw i64 %i.0, %mul30
  %arrayidx32 = getelementptr inbounds double, ptr %call, i64 %add31
  store double %i, ptr %arrayidx32, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond24

for.end:
  %tobool33 = icmp ne i32 %unit, 0
  br i1 %tobool33, label %cond.end39, label %cond.false35

cond.false35:
  %mul36 = mul nsw i64 %j.0, %lda
  %add37 = add nsw i64 %j.0, %mul36
  %arrayidx38 = getelementptr inbounds double, ptr %a, i64 %add37
  %i75 = load double, ptr %arrayidx38, align 8
  br label %cond.end39

cond.end39:
  %cond40 = phi double [ %i75, %cond.false35 ], [ 1.000000e+00, %for.end ]
  %mul41 = mul nsw i64 %j.0, %n.addr.0.m.addr.0
  %add42 = add nsw i64 %j.0, %mul41
  %arrayidx43 = getelementptr inbounds double, ptr %call, i64 %add42
  store double %cond40, ptr %arrayidx43, align 8
  %inc45 = add nsw i64 %j.0, 1
  br label %for.cond

for.cond48:
  %j47.0 = phi i64 [ %inc67, %for.inc66 ], [ 0, %for.cond ]
  %cmp49 = icmp slt i64 %j47.0, %n.addr.0
  br i1 %cmp49, label %for.cond53, label %for.end68

for.cond53:
  %i52.0 = phi i64 [ %inc64, %for.body56 ], [ 0, %for.cond48 ]
  %cmp54 = icmp slt i64 %i52.0, %m.addr.0
  br i1 %cmp54, label %for.body56, label %for.inc66

for.body56:
  %mul57 = mul nsw i64 %j47.0, %ldb
  %add58 = add nsw i64 %i52.0, %mul57
  %arrayidx59 = getelementptr inbounds double, ptr %b, i64 %add58
  %i76 = load double, ptr %arrayidx59, align 8
  %mul60 = mul nsw i64 %j47.0, %m.addr.0
  %add61 = add nsw i64 %i52.0, %mul60
  %arrayidx62 = getelementptr inbounds double, ptr %call10, i64 %add61
  store double %i76, ptr %arrayidx62, align 8
  %inc64 = add nsw i64 %i52.0, 1
  br label %for.cond53

for.inc66:
  %inc67 = add nsw i64 %j47.0, 1
  br label %for.cond48

for.end68:
  %tobool69 = icmp ne i32 %right.addr.0, 0
  br i1 %tobool69, label %if.then70, label %if.else

if.then70:
  %tobool71 = icmp ne i32 %trans, 0
  %i77 = zext i1 %tobool71 to i64
  %cond72 = select i1 %tobool71, i32 116, i32 110
  %conv = trunc i32 %cond72 to i8
  %call73 = call i32 @numba_xxgemm(i8 100, i8 110, i8 %conv, i64 %m.addr.0, i64 %n.addr.0, i64 %n.addr.0, ptr @one, ptr %call10, i64 %m.addr.0, ptr %call, i64 %n.addr.0, ptr @zero, ptr %call12, i64 %m.addr.0)
  br label %if.end78

if.else:
  %tobool74 = icmp ne i32 %trans, 0
  %i78 = zext i1 %tobool74 to i64
  %cond75 = select i1 %tobool74, i32 116, i32 110
  %conv76 = trunc i32 %cond75 to i8
  %call77 = call i32 @numba_xxgemm(i8 100, i8 %conv76, i8 110, i64 %m.addr.0, i64 %n.addr.0, i64 %m.addr.0, ptr @one, ptr %call, i64 %m.addr.0, ptr %call10, i64 %m.addr.0, ptr @zero, ptr %call12, i64 %m.addr.0)
  br label %if.end78

if.end78:
  br label %for.cond80

for.cond80:
  %j79.0 = phi i64 [ 0, %if.end78 ], [ %inc102, %for.inc101 ]
  %cmp81 = icmp slt i64 %j79.0, %n.addr.0
  br i1 %cmp81, label %for.cond86, label %for.end103

for.cond86:
  %i85.0 = phi i64 [ %inc99, %for.body90 ], [ 0, %for.cond80 ]
  %cmp87 = icmp slt i64 %i85.0, %m.addr.0
  br i1 %cmp87, label %for.body90, label %for.inc101

for.body90:
  %mul91 = mul nsw i64 %j79.0, %m.addr.0
  %add92 = add nsw i64 %i85.0, %mul91
  %arrayidx93 = getelementptr inbounds double, ptr %call12, i64 %add92
  %i79 = load double, ptr %arrayidx93, align 8
  %call94 = call double @coenzyme_blas_dtimes(double %alpha, double %i79)
  %mul95 = mul nsw i64 %j79.0, %ldb
  %add96 = add nsw i64 %i85.0, %mul95
  %arrayidx97 = getelementptr inbounds double, ptr %b, i64 %add96
  store double %call94, ptr %arrayidx97, align 8
  %inc99 = add nsw i64 %i85.0, 1
  br label %for.cond86

for.inc101:
  %inc102 = add nsw i64 %j79.0, 1
  br label %for.cond80

for.end103:
  call void @free(ptr %call)
  call void @free(ptr %call10)
  call void @free(ptr %call12)
  br label %return

return:
  ret void
}

define void @coenzyme_blas_dtrsm(i32 %row, i32 %right, i32 %upper, i32 %trans, i32 %unit, i64 %m, i64 %n, double %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb) {
entry:
  %tobool = icmp ne i32 %row, 0
  br i1 %tobool, label %do.end, label %if.end

do.end:
  %tobool1 = icmp ne i32 %right, 0
  %lnot = xor i1 %tobool1, true
  %lnot.ext = zext i1 %lnot to i32
  %tobool2 = icmp ne i32 %upper, 0
  %lnot3 = xor i1 %tobool2, true
  %lnot.ext4 = zext i1 %lnot3 to i32
  br label %if.end

if.end:
  %n.addr.0 = phi i64 [ %m, %do.end ], [ %n, %entry ]
  %m.addr.0 = phi i64 [ %n, %do.end ], [ %m, %entry ]
  %upper.addr.0 = phi i32 [ %lnot.ext4, %do.end ], [ %upper, %entry ]
  %right.addr.0 = phi i32 [ %lnot.ext, %do.end ], [ %right, %entry ]
  %cmp = icmp sle i64 %m.addr.0, 0
  %cmp5 = icmp sle i64 %n.addr.0, 0
  %or.cond = or i1 %cmp, %cmp5
  br i1 %or.cond, label %return, label %if.end7

if.end7:
  %tobool8 = icmp ne i32 %right.addr.0, 0
  %tobool10 = icmp ne i32 %trans, 0
  %lnot11 = xor i1 %tobool10, true
  %lnot.ext12 = zext i1 %lnot11 to i32
  %trans.addr.0 = select i1 %tobool8, i32 %lnot.ext12, i32 %trans
  %cmp14 = icmp ne i32 %upper.addr.0, %trans.addr.0
  %conv = zext i1 %cmp14 to i32
  %tobool15 = icmp ne i32 %right.addr.0, 0
  %cond = select i1 %tobool15, i64 %n.addr.0, i64 %m.addr.0
  %tobool16 = icmp ne i32 %right.addr.0, 0
  %cond20 = select i1 %tobool16, i64 %m.addr.0, i64 %n.addr.0
  %tobool21 = icmp ne i32 %right.addr.0, 0
  %cond25 = select i1 %tobool21, i64 %ldb, i64 1
  %tobool26 = icmp ne i32 %right.addr.0, 0
  %cond30 = select i1 %tobool26, i64 1, i64 %ldb
  %tobool31 = icmp ne i32 %conv, 0
  %sub = sub nsw i64 %cond, 1
  %mul = mul nsw i64 %sub, %cond25
  %sub33 = sub nsw i64 0, %cond25
  %down.0 = select i1 %tobool31, i64 %sub33, i64 %cond25
  %first.0 = select i1 %tobool31, i64 %mul, i64 0
  %call = call ptr @coenzyme_blas_dlower(i64 %cond, ptr %a, i64 %lda, i32 %trans.addr.0, i32 %conv, i32 %unit)
  %mul35 = mul nsw i64 %cond, %cond20
  %call36 = call ptr @coenzyme_blas_dscratch(i64 %mul35)
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %if.end7 ], [ %inc52, %for.inc51 ]
  %cmp37 = icmp slt i64 %j.0, %cond20
  br i1 %cmp37, label %for.cond39, label %for.end53

for.cond39:
  %i.0 = phi i64 [ %inc, %for.body43 ], [ 0, %for.cond ]
  %cmp40 = icmp slt i64 %i.0, %cond
  br i1 %cmp40, label %for.body43, label %for.inc51

for.body43:
  %mul44 = mul nsw i64 %i.0, %down.0
  %add = add nsw i64 %first.0, %mul44
  %mul45 = mul nsw i64 %j.0, %cond30
  %add46 = add nsw i64 %add, %mul45
  %arrayidx = getelementptr inbounds double, ptr %b, i64 %add46
  %i = load double, ptr %arrayidx, align 8
  %call47 = call double @coenzyme_blas_dtimes(double %alpha, double %i)
  %mul48 = mul nsw i64 %j.0, %cond
  %add49 = add nsw i64 %i.0, %mul48
  %arrayidx50 = getelementptr inbounds double, ptr %call36, i64 %add49
  store double %call47, ptr %arrayidx50, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond39

for.inc51:
  %inc52 = add nsw i64 %j.0, 1
  br label %for.cond

for.end53:
  call void @coenzyme_blas_dsolve(i64 %cond, i64 %cond20, ptr %call, ptr %call36)
  br label %for.cond55

for.cond55:
  %j54.0 = phi i64 [ 0, %for.end53 ], [ %inc78, %for.inc77 ]
  %cmp56 = icmp slt i64 %j54.0, %cond20
  br i1 %cmp56, label %for.cond61, label %for.end79

for.cond61:
  %i60.0 = phi i64 [ %inc75, %for.body65 ], [ 0, %for.cond55 ]
  %cmp62 = icmp slt i64 %i60.0, %cond
  br i1 %cmp62, label %for.body65, label %for.inc77

for.body65:
  %mul66 = mul nsw i64 %j54.0, %cond
  %add67 = add nsw i64 %i60.0, %mul66
  %arrayidx68 = getelementptr inbounds double, ptr %call36, i64 %add67
  %i49 = load double, ptr %arrayidx68, align 8
  %mul69 = mul nsw i64 %i60.0, %down.0
  %add70 = add nsw i64 %first.0, %mul69
  %mul71 = mul nsw i64 %j54.0, %cond30
  %add72 = add nsw i64 %add70, %mul71
  %arrayidx73 = getelementptr inbounds double, ptr %b, i64 %add72
  store double %i49, ptr %arrayidx73, align 8
  %inc75 = add nsw i64 %i60.0, 1
  br label %for.cond61

for.inc77:
  %inc78 = add nsw i64 %j54.0, 1
  br label %for.cond55

for.end79:
  call void @free(ptr %call)
  call void @free(ptr %call36)
  br label %return

return:
  ret void
}

define i32 @coenzyme_blas_dgemm_fallback(i8 %kind, i8 %transa, i8 %transb, i64 %m, i64 %n, i64 %k, ptr %alpha, ptr %a, i64 %lda, ptr %b, i64 %ldb, ptr %beta, ptr %c, i64 %ldc) {
entry:
  %conv = sext i8 %transa to i32
  %cmp = icmp eq i32 %conv, 110
  %.lda = select i1 %cmp, i64 1, i64 %lda
  %conv2 = sext i8 %transa to i32
  %cmp3 = icmp eq i32 %conv2, 110
  %cond8 = select i1 %cmp3, i64 %lda, i64 1
  %conv9 = sext i8 %transb to i32
  %cmp10 = icmp eq i32 %conv9, 110
  %cond15 = select i1 %cmp10, i64 1, i64 %ldb
  %conv16 = sext i8 %transb to i32
  %cmp17 = icmp eq i32 %conv16, 110
  %cond22 = select i1 %cmp17, i64 %ldb, i64 1
  br label %for.cond

for.cond:
  %j.0 = phi i64 [ 0, %entry ], [ %inc72, %for.inc71 ]
  %cmp23 = icmp slt i64 %j.0, %n
  br i1 %cmp23, label %for.cond25, label %for.end73

for.cond25:
  %i.0 = phi i64 [ %inc, %cond.end35 ], [ 0, %for.cond ]
  %cmp26 = icmp slt i64 %i.0, %m
  br i1 %cmp26, label %for.body29, label %for.cond40

for.body29:
  %i = load double, ptr %beta, align 8
  %cmp30 = fcmp oeq double %i, 0.000000e+00
  br i1 %cmp30, label %cond.end35, label %cond.false33

cond.false33:
  %i25 = load double, ptr %beta, align 8
  %mul = mul nsw i64 %j.0, %ldc
  %add = add nsw i64 %i.0, %mul
  %arrayidx = getelementptr inbounds double, ptr %c, i64 %add
  %i26 = load double, ptr %arrayidx, align 8
  %mul34 = fmul double %i25, %i26
  br label %cond.end35

cond.end35:
  %cond36 = phi double [ %mul34, %cond.false33 ], [ 0.000000e+00, %for.body29 ]
  %mul37 = mul nsw i64 %j.0, %ldc
  %add38 = add nsw i64 %i.0, %mul37
  %arrayidx39 = getelementptr inbounds double, ptr %c, i64 %add38
  store double %cond36, ptr %arrayidx39, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond25

for.cond40:
  %l.0 = phi i64 [ %inc69, %for.inc68 ], [ 0, %for.cond25 ]
  %cmp41 = icmp slt i64 %l.0, %k
  br i1 %cmp41, label %for.body44, label %for.inc71

for.body44:
  %i27 = load double, ptr %alpha, align 8
  %mul45 = mul nsw i64 %l.0, %cond15
  %mul46 = mul nsw i64 %j.0, %cond22
  %add47 = add nsw i64 %mul45, %mul46
  %arrayidx48 = getelementptr inbounds double, ptr %b, i64 %add47
  %i28 = load double, ptr %arrayidx48, align 8
  %mul49 = fmul double %i27, %i28
  br label %for.cond51

for.cond51:
  %i50.0 = phi i64 [ 0, %for.body44 ], [ %inc66, %for.body55 ]
  %cmp52 = icmp slt i64 %i50.0, %m
  br i1 %cmp52, label %for.body55, label %for.inc68

for.body55:
  %mul56 = mul nsw i64 %i50.0, %.lda
  %mul57 = mul nsw i64 %l.0, %cond8
  %add58 = add nsw i64 %mul56, %mul57
  %arrayidx59 = getelementptr inbounds double, ptr %a, i64 %add58
  %i29 = load double, ptr %arrayidx59, align 8
  %mul60 = fmul double %mul49, %i29
  %mul61 = mul nsw i64 %j.0, %ldc
  %add62 = add nsw i64 %i50.0, %mul61
  %arrayidx63 = getelementptr inbounds double, ptr %c, i64 %add62
  %i30 = load double, ptr %arrayidx63, align 8
  %add64 = fadd double %i30, %mul60
  store double %add64, ptr %arrayidx63, align 8
  %inc66 = add nsw i64 %i50.0, 1
  br label %for.cond51

for.inc68:
  %inc69 = add nsw i64 %l.0, 1
  br label %for.cond40

for.inc71:
  %inc72 = add nsw i64 %j.0, 1
  br label %for.cond

for.end73:
  ret i32 0
}

define i32 @coenzyme_blas_dgemv_fallback(i8 %kind, i8 %trans, i64 %m, i64 %n, ptr %alpha, ptr %a, i64 %lda, ptr %x, ptr %beta, ptr %y) {
entry:
  %conv = sext i8 %trans to i32
  %cmp = icmp eq i32 %conv, 110
  %m.n = select i1 %cmp, i64 %m, i64 %n
  %conv2 = sext i8 %trans to i32
  %cmp3 = icmp eq i32 %conv2, 110
  %cond8 = select i1 %cmp3, i64 %n, i64 %m
  %call = call i32 @coenzyme_blas_dgemm_fallback(i8 %kind, i8 %trans, i8 110, i64 %m.n, i64 1, i64 %cond8, ptr %alpha, ptr %a, i64 %lda, ptr %x, i64 %cond8, ptr %beta, ptr %y, i64 %m.n)
  ret i32 %call
}

define i32 @coenzyme_blas_ddot_fallback(i8 %kind, i8 %conjugate, i64 %n, ptr %x, ptr %y, ptr %result) {
entry:
  store double 0.000000e+00, ptr %result, align 8
  br label %for.cond

for.cond:
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %i.0
  %i = load double, ptr %arrayidx, align 8
  %arrayidx1 = getelementptr inbounds double, ptr %y, i64 %i.0
  %i5 = load double, ptr %arrayidx1, align 8
  %mul = fmul double %i, %i5
  %i6 = load double, ptr %result, align 8
  %add = fadd double %i6, %mul
  store double %add, ptr %result, align 8
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  ret i32 0
}

define i32 @coenzyme_blas_dnrm2_fallback(i8 %kind, i64 %n, ptr %x, i64 %incx, ptr %result) {
entry:
  br label %for.cond

for.cond:
  %largest.0 = phi double [ 0.000000e+00, %entry ], [ %i30, %for.body ]
  %i.0 = phi i64 [ 0, %entry ], [ %inc, %for.body ]
  %cmp = icmp slt i64 %i.0, %n
  br i1 %cmp, label %for.body, label %for.end

for.body:
  %mul = mul nsw i64 %i.0, %incx
  %arrayidx = getelementptr inbounds double, ptr %x, i64 %mul
  %i = load double, ptr %arrayidx, align 8
  %i29 = call double @llvm.fabs.f64(double %i)
  %i30 = call double @llvm.maxnum.f64(double %largest.0, double %i29)
  %inc = add nsw i64 %i.0, 1
  br label %for.cond

for.end:
  %cmp1 = fcmp ogt double %largest.0, 0.000000e+00
  %sub = fsub double %largest.0, %largest.0
  %cmp2 = fcmp oeq double %sub, 0.000000e+00
  %or.cond = and i1 %cmp1, %cmp2
  br i1 %or.cond, label %for.cond4, label %for.cond18

for.cond4:
  %sum.0 = phi double [ %add, %for.body7 ], [ 0.000000e+00, %for.end ]
  %i3.0 = phi i64 [ %inc15, %for.body7 ], [ 0, %for.end ]
  %cmp5 = icmp slt i64 %i3.0, %n
  br i1 %cmp5, label %for.body7, label %if.end

for.body7:
  %mul8 = mul nsw i64 %i3.0, %incx
  %arrayidx9 = getelementptr inbounds double, ptr %x, i64 %mul8
  %i31 = load double, ptr %arrayidx9, align 8
  %div = fdiv double %i31, %largest.0
  %mul10 = mul nsw i64 %i3.0, %incx
  %arrayidx11 = getelementptr inbounds double, ptr %x, i64 %mul10
  %i32 = load double, ptr %arrayidx11, align 8
  %div12 = fdiv double %i32, %largest.0
  %mul13 = fmul double %div, %div12
  %add = fadd double %sum.0, %mul13
  %inc15 = add nsw i64 %i3.0, 1
  br label %for.cond4

for.cond18:
  %sum.2 = phi double [ %add24, %for.body21 ], [ 0.000000e+00, %for.end ]
  %i17.0 = phi i64 [ %inc26, %for.body21 ], [ 0, %for.end ]
  %cmp19 = icmp slt i64 %i17.0, %n
  br i1 %cmp19, label %for.body21, label %if.end

for.body21:
  %mul22 = mul nsw i64 %i17.0, %incx
  %arrayidx23 = getelementptr inbounds double, ptr %x, i64 %mul22
  %i33 = load double, ptr %arrayidx23, align 8
  %i34 = call double @llvm.fabs.f64(double %i33)
  %add24 = fadd double %sum.2, %i34
  %inc26 = add nsw i64 %i17.0, 1
  br label %for.cond18

if.end:
  %sum.1 = phi double [ %sum.0, %for.cond4 ], [ %sum.2, %for.cond18 ]
  %cmp28 = fcmp ogt double %largest.0, 0.000000e+00
  %sub30 = fsub double %largest.0, %largest.0
  %cmp31 = fcmp oeq double %sub30, 0.000000e+00
  %or.cond28 = and i1 %cmp28, %cmp31
  %i35 = call double @llvm.sqrt.f64(double %sum.1)
  %mul32 = fmul double %largest.0, %i35
  %cond = select i1 %or.cond28, double %mul32, double %sum.1
  store double %cond, ptr %result, align 8
  ret i32 0
}
